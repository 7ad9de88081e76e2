"""The same capture, config and versions give the same bytes, whatever the number of cores and the order of jobs."""

from tests.support.project import Project, result_digests, same


def test_one_core_and_two_make_the_same_files(finished, tmp_path):
    project = Project(tmp_path / "other place")
    project.folder.joinpath("captures").symlink_to(finished.path("captures"))
    finished_sheet = finished.path("config/tapes.tsv").read_bytes()
    project.path("config/tapes.tsv").write_bytes(finished_sheet)
    project.make("all", cores=1)
    assert result_digests(project.folder) == result_digests(finished.folder)
    assert "made in the same way" in same(project.path("results/T01"), finished.path("results/T01"), exit_code=0)

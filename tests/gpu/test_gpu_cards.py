"""Listing, masking and telling cards apart, with real drivers."""

import re

from tapemill.devices import visibility


def test_what_is_listed_makes_sense(all_cards):
    assert len({card.uuid for card in all_cards}) == len(all_cards)
    assert [card.number for card in all_cards] == sorted({card.number for card in all_cards})
    for card in all_cards:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", card.uuid)
        assert card.name
        assert card.total_bytes > 1 << 30
        assert card.pci_address == "" or re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", card.pci_address)
    known = [card.pci_address for card in all_cards if card.pci_address]
    assert known == sorted(known)


def test_every_lane_gets_its_card_and_no_other(all_cards, on_card):
    for card in all_cards:
        seen = on_card(
            "from tapemill.devices.enumerate import torch_devices; tell([c.uuid for c in torch_devices(kind)])",
            number=card.number,
        )
        assert seen == [card.uuid]


def test_the_mask_that_is_shown_selects_the_card_by_itself(all_cards, on_card):
    unpinned = "import json, sys\nkind, number = json.loads(sys.argv[1])\n"
    for card in all_cards:
        environ = dict(part.split("=") for part in card.mask.split())
        code = "from tapemill.devices.enumerate import torch_devices; tell([c.uuid for c in torch_devices(kind)])"
        assert on_card(code, opened=unpinned, **environ) == [card.uuid]


def test_a_mask_of_somebody_else_is_kept(card, on_card):
    environ = {visibility.VISIBILITY[card.kind].variable: str(card.number)}
    assert on_card("tell(card.uuid)", number=None, **environ) == card.uuid


def test_a_lane_without_a_card_is_refused(all_cards, on_card):
    beyond = max(card.number for card in all_cards) + 1
    assert "LaneError" in on_card("tell(card.uuid)", number=beyond, expect=1)


def test_a_card_that_is_not_the_recorded_one_is_refused(card, on_card):
    code = """
    import dataclasses
    from tapemill.core.errors import LaneError
    other = dataclasses.replace(card, uuid="00000000-0000-0000-0000-000000000000")
    cards.expected_gpu = lambda kind, number: other
    try:
        cards.verify_gpu(kind, number)
    except LaneError as error:
        tell(str(error))
    """
    said = on_card(code)
    assert "wrong card" in said
    assert card.uuid in said
    assert "00000000-0000-0000-0000-000000000000" in said

/*
 * Fault layer, loaded into every process of a run by LD_PRELOAD: records the calls that change files of one project, or
 * lets one of them fail. Python, ffmpeg, shells and native libraries are all seen. Not seen is what glibc calls from
 * inside itself (stdio streams, mkstemp); a run has none of these in its project (`strace -f` of a recording run).
 *
 * INJECTION_FOLDER  the project: an absolute path without links; calls elsewhere are passed on
 * INJECTION_RECORD  a file that gets a line for each call: role, kind, place in the code, path
 * INJECTION_POINT   the call that fails: role, kind, place, glob of the path, number of the call, fault; separated by tabs
 * INJECTION_STATE   a file of the size of `struct state`, shared by all processes: counter of calls, and what was hit
 * INJECTION_ROLE    set by this layer for child processes: the role of their parent
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROLE_SIZE = 256, PLACE_SIZE = 512, LINE_SIZE = 3 * PATH_MAX, FRAMES_MAX = 60 };
enum fault { NONE, FAIL_ENOSPC, FAIL_EIO, KILL_PROCESS, KILL_RUN };

/* tests/injection/layer.py reads these four fields. */
struct state {
    atomic_int calls;
    atomic_int hit;
    int pid;
    char path[PATH_MAX];
};

static char folder[PATH_MAX], role[ROLE_SIZE];
static size_t folder_length;
static const char *record;
static struct state *state;
static struct {
    char *role, *kind, *place, *glob;
    int number;
    enum fault fault;
} point;

/* Place in the code, by Python's C API where the process has one. */

static struct {
    int (*is_initialized)(void);
    void *(*thread_state)(void);
    int (*ensure)(void);
    void (*release)(int);
    void *(*frame)(void);
    void *(*back)(void *);
    void *(*code)(void *);
    void *(*attribute)(void *, const char *);
    const char *(*text)(void *);
    void (*decref)(void *);
    void (*incref)(void *);
    void (*fetch_error)(void **, void **, void **);
    void (*restore_error)(void *, void *, void *);
} py;

static void find_python(void) {
    *(void **)&py.is_initialized = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    *(void **)&py.thread_state = dlsym(RTLD_DEFAULT, "PyGILState_GetThisThreadState");
    *(void **)&py.ensure = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
    *(void **)&py.release = dlsym(RTLD_DEFAULT, "PyGILState_Release");
    *(void **)&py.frame = dlsym(RTLD_DEFAULT, "PyEval_GetFrame");
    *(void **)&py.back = dlsym(RTLD_DEFAULT, "PyFrame_GetBack");
    *(void **)&py.code = dlsym(RTLD_DEFAULT, "PyFrame_GetCode");
    *(void **)&py.attribute = dlsym(RTLD_DEFAULT, "PyObject_GetAttrString");
    *(void **)&py.text = dlsym(RTLD_DEFAULT, "PyUnicode_AsUTF8");
    *(void **)&py.decref = dlsym(RTLD_DEFAULT, "Py_DecRef");
    *(void **)&py.incref = dlsym(RTLD_DEFAULT, "Py_IncRef");
    *(void **)&py.fetch_error = dlsym(RTLD_DEFAULT, "PyErr_Fetch");
    *(void **)&py.restore_error = dlsym(RTLD_DEFAULT, "PyErr_Restore");
}

/* The part of a file's path that is the same on every machine; NULL if it is neither Tapemill's nor Snakemake's. */
static const char *own_module(const char *file) {
    const char *marks[] = {"/scripts/tapemill/", "/scripts/snakemake_scheduler_plugin_lanes/", "/site-packages/snakemake"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *found = strstr(file, marks[i]);
        if (found)
            return found + (i < 2 ? strlen("/scripts/") : strlen("/site-packages/"));
    }
    return NULL;
}

/* Innermost function of Tapemill or Snakemake, `file:function`; `logging` for lines of a log, whoever wrote them. */
static void find_place(char *out) {
    strcpy(out, "-");
    if (!py.restore_error || !py.is_initialized() || !py.thread_state())
        return;
    int token = py.ensure();
    void *type, *value, *trace;
    py.fetch_error(&type, &value, &trace);
    void *frame = py.frame();
    if (frame)
        py.incref(frame);
    bool is_found = false;
    for (int depth = 0; frame && !is_found && depth < FRAMES_MAX; depth++) {
        void *code = py.code(frame);
        void *file = py.attribute(code, "co_filename"), *name = py.attribute(code, "co_name");
        const char *path = file ? py.text(file) : NULL, *function = name ? py.text(name) : NULL;
        if (path && function) {
            const char *module = own_module(path);
            if (strstr(path, "/logging/__init__.py")) {
                strcpy(out, "logging");
                is_found = true;
            } else if (module || depth == 0) {
                const char *base = strrchr(path, '/');
                snprintf(out, PLACE_SIZE, "%s:%s", module ? module : base ? base + 1 : path, function);
                is_found = module != NULL;
            }
        }
        if (file)
            py.decref(file);
        if (name)
            py.decref(name);
        py.decref(code);
        void *back = py.back(frame);
        py.decref(frame);
        frame = back;
    }
    if (frame)
        py.decref(frame);
    py.restore_error(type, value, trace);
    py.release(token);
}

/* bash has a getenv and a setenv of its own, which know nothing yet. */
static const char *variable(const char *name) {
    size_t length = strlen(name);
    for (char **at = environ; at && *at; at++)
        if (!strncmp(*at, name, length) && (*at)[length] == '=')
            return *at + length + 1;
    return NULL;
}

/* Role of a process: `job` for a job script, module of `python -m`, or name of a program behind the role of its parent. */

static void find_role(void) {
    static char command[1 << 16];
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
    ssize_t size = file < 0 ? 0 : syscall(SYS_read, file, command, sizeof command - 1);
    if (file >= 0)
        syscall(SYS_close, file);
    const char *parent = variable("INJECTION_ROLE"), *module = NULL;
    bool is_script = false;
    const char *name = strrchr(command, '/') ? strrchr(command, '/') + 1 : command;
    bool is_python = !strncmp(name, "python", 6);
    for (char *at = command; is_python && at < command + size; at += strlen(at) + 1) {
        if (!strcmp(at, "-m") && !module)
            module = at + 3;
        is_script |= strstr(at, "/.snakemake/scripts/tmp") != NULL;
    }
    if (is_script) {
        strcpy(role, "job");
    } else if (module && !parent) {
        snprintf(role, sizeof role, "%s", module);
    } else if (module && strstr(module, "lanes.worker")) {
        strcpy(role, "worker");
    } else {
        const char *program = module ? module : !strncmp(name, "ffmpeg", 6) ? "ffmpeg" : name;
        snprintf(role, sizeof role, "%.120s%s%.120s", parent ? parent : "", parent ? ">" : "", program);
    }
    int (*set)(const char *, const char *, int);
    *(void **)&set = dlsym(RTLD_NEXT, "setenv");
    set("INJECTION_ROLE", role, 1);
}

static enum fault fault_named(const char *name) {
    const char *names[] = {"none", "ENOSPC", "EIO", "kill-process", "kill-run"};
    for (int i = NONE; i <= KILL_RUN; i++)
        if (!strcmp(name, names[i]))
            return i;
    return NONE;
}

__attribute__((constructor)) static void start(void) {
    const char *project = variable("INJECTION_FOLDER"), *text = variable("INJECTION_POINT");
    if (!project || strlen(project) >= sizeof folder)
        return;
    find_python();
    find_role();
    if (variable("INJECTION_RECORD"))
        record = strdup(variable("INJECTION_RECORD"));
    if (text) {
        char *rest = strdup(text);
        point.role = strsep(&rest, "\t");
        point.kind = strsep(&rest, "\t");
        point.place = strsep(&rest, "\t");
        point.glob = strsep(&rest, "\t");
        point.number = atoi(strsep(&rest, "\t"));
        point.fault = fault_named(rest);
        int file = (int)syscall(SYS_openat, AT_FDCWD, variable("INJECTION_STATE"), O_RDWR | O_CLOEXEC);
        state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        syscall(SYS_close, file);
        if (state == MAP_FAILED)
            abort();
    }
    strcpy(folder, project);
    folder_length = strlen(folder);
}

/* Decision about one call. */

static enum fault decide(const char *kind, const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length) || path[folder_length] != '/')
        return NONE;
    const char *name = path + folder_length + 1;
    char place[PLACE_SIZE];
    int error = errno;
    enum fault fault = NONE;
    if (record) {
        char line[LINE_SIZE];
        find_place(place);
        int size = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\n", role, kind, place, name);
        /* Opened each time: a process may close what it does not know. */
        int file = (int)syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        syscall(SYS_write, file, line, size);
        syscall(SYS_close, file);
    }
    if (state && !strcmp(kind, point.kind) && !strcmp(role, point.role) && !fnmatch(point.glob, name, FNM_PATHNAME)) {
        find_place(place);
        bool is_wanted = !strcmp(point.place, "*") || !strcmp(place, point.place);
        if (is_wanted && atomic_fetch_add(&state->calls, 1) + 1 == point.number) {
            state->pid = getpid();
            snprintf(state->path, sizeof state->path, "%s", name);
            fault = point.fault;
        }
    }
    errno = error;
    return fault;
}

/* Let a call fail: errno is set, or the process never returns from it. */
static long fail(enum fault fault) {
    atomic_store(&state->hit, 1);
    if (fault == KILL_PROCESS)
        kill(getpid(), SIGKILL);
    while (fault == KILL_RUN)
        /* The driver sees `hit` and kills all processes. */
        pause();
    errno = fault == FAIL_ENOSPC ? ENOSPC : EIO;
    return -1;
}

static bool is_kill(enum fault fault) { return fault == KILL_PROCESS || fault == KILL_RUN; }

/* Path of an open file; empty where it has none. */
static const char *path_of(int descriptor, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    long size = folder_length ? syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1) : 0;
    out[size > 0 ? size : 0] = 0;
    return out;
}

/* Absolute path of a name beside an open folder; links and `..` stay as they are. */
static const char *absolute(int at, const char *name, char *out) {
    if (!folder_length || !name || *name == '/') {
        snprintf(out, PATH_MAX, "%s", name ? name : "");
        return out;
    }
    if (at == AT_FDCWD) {
        if (syscall(SYS_getcwd, out, PATH_MAX) < 0)
            *out = 0;
    } else {
        path_of(at, out);
    }
    size_t length = strlen(out);
    while (!strncmp(name, "./", 2))
        name += 2;
    snprintf(out + length, PATH_MAX - length, "/%s", name);
    return out;
}

#define SAVING_ERRNO(statement) \
    do {                        \
        int saved = errno;      \
        statement;              \
        errno = saved;          \
    } while (0)

static enum fault decide_open(const char *kind, int descriptor) {
    char path[PATH_MAX];
    enum fault fault;
    SAVING_ERRNO(fault = decide(kind, path_of(descriptor, path)));
    return fault;
}

static enum fault decide_named(const char *kind, int at, const char *name) {
    char path[PATH_MAX];
    enum fault fault;
    SAVING_ERRNO(fault = decide(kind, absolute(at, name, path)));
    return fault;
}

/* The interposed calls. A killed write has written the first half of its bytes. */

ssize_t write(int file, const void *bytes, size_t size) {
    enum fault fault = decide_open("write", file);
    if (is_kill(fault))
        syscall(SYS_write, file, bytes, size / 2);
    return fault ? fail(fault) : syscall(SYS_write, file, bytes, size);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    enum fault fault = decide_open("write", file);
    if (is_kill(fault))
        syscall(SYS_pwrite64, file, bytes, size / 2, offset);
    return fault ? fail(fault) : syscall(SYS_pwrite64, file, bytes, size, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off_t offset) { return pwrite(file, bytes, size, offset); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    enum fault fault = decide_open("write", file);
    if (is_kill(fault))
        syscall(SYS_writev, file, parts, count / 2);
    return fault ? fail(fault) : syscall(SYS_writev, file, parts, count);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    enum fault fault = decide_open("write", to);
    if (is_kill(fault))
        syscall(SYS_sendfile, to, from, offset, 1);
    return fault ? fail(fault) : syscall(SYS_sendfile, to, from, offset, size);
}

ssize_t sendfile64(int to, int from, off_t *offset, size_t size) { return sendfile(to, from, offset, size); }

ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags) {
    enum fault fault = decide_open("write", to);
    return fault ? fail(fault) : syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
}

int fsync(int file) {
    enum fault fault = decide_open("fsync", file);
    return (int)(fault ? fail(fault) : syscall(SYS_fsync, file));
}

int fdatasync(int file) {
    enum fault fault = decide_open("fsync", file);
    return (int)(fault ? fail(fault) : syscall(SYS_fdatasync, file));
}

int ftruncate(int file, off_t size) {
    enum fault fault = decide_open("truncate", file);
    return (int)(fault ? fail(fault) : syscall(SYS_ftruncate, file, size));
}

int ftruncate64(int file, off_t size) { return ftruncate(file, size); }

int renameat2(int old_at, const char *old, int new_at, const char *new, unsigned flags) {
    enum fault fault = decide_named("rename", new_at, new);
    return (int)(fault ? fail(fault) : syscall(SYS_renameat2, old_at, old, new_at, new, flags));
}

int renameat(int old_at, const char *old, int new_at, const char *new) { return renameat2(old_at, old, new_at, new, 0); }

int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int at, const char *name, int flags) {
    enum fault fault = decide_named("unlink", at, name);
    return (int)(fault ? fail(fault) : syscall(SYS_unlinkat, at, name, flags));
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int at, const char *name, mode_t mode) {
    enum fault fault = decide_named("create", at, name);
    return (int)(fault ? fail(fault) : syscall(SYS_mkdirat, at, name, mode));
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int linkat(int old_at, const char *old, int new_at, const char *new, int flags) {
    enum fault fault = decide_named("create", new_at, new);
    return (int)(fault ? fail(fault) : syscall(SYS_linkat, old_at, old, new_at, new, flags));
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int symlinkat(const char *target, int at, const char *name) {
    enum fault fault = decide_named("create", at, name);
    return (int)(fault ? fail(fault) : syscall(SYS_symlinkat, target, at, name));
}

int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

static int open_file(int at, const char *name, int flags, mode_t mode) {
    enum fault fault = NONE;
    /* One that empties or makes a file changes it; others do not. */
    if (flags & (O_CREAT | O_TRUNC) || (flags & O_TMPFILE) == O_TMPFILE)
        fault = decide_named("create", at, name);
    return (int)(fault ? fail(fault) : syscall(SYS_openat, at, name, flags, mode));
}

#define MODE_OF(flags)                                         \
    mode_t mode = 0;                                           \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list more;                                          \
        va_start(more, flags);                                 \
        mode = va_arg(more, mode_t);                           \
        va_end(more);                                          \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags)
    return open_file(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE_OF(flags)
    return open_file(AT_FDCWD, name, flags, mode);
}

int openat(int at, const char *name, int flags, ...) {
    MODE_OF(flags)
    return open_file(at, name, flags, mode);
}

int openat64(int at, const char *name, int flags, ...) {
    MODE_OF(flags)
    return open_file(at, name, flags, mode);
}

int creat(const char *name, mode_t mode) { return open_file(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/*
 * From C sources to a module: runs clang as sdk/module/README.md says.
 */
#include "cli/cli.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define HEADER  "include/lightcone/module.h"
#define RUNTIME "sdk/module/lightcone_module.c"

/* Where the header and the runtime are: the folder that holds include/lightcone, and the C file. */
typedef struct sdk {
    char *include;
    char *runtime;
} sdk;

static void sdk_deinit(sdk *s)
{
    lc_free(s->include);
    lc_free(s->runtime);
}

/* The name when there is such a file, else NULL; takes it. */
static char *existing(char *path)
{
    if (access(path, R_OK) == 0) return path;
    lc_free(path);
    return NULL;
}

/* True: root is a checkout, a LIGHTCONE_SDK, or where the program is installed. */
static bool sdk_at(const char *root, sdk *out)
{
    *out = (sdk){0};
    char *header = existing(lc_format("%s/" HEADER, root));
    if (header) out->include = lc_format("%s/include", root);
    lc_free(header);
    out->runtime = existing(lc_format("%s/" RUNTIME, root));
    if (!out->runtime) out->runtime = existing(lc_format("%s/share/lightcone/" RUNTIME, root));
    if (out->include && out->runtime) return true;
    sdk_deinit(out);
    return false;
}

static lc_status find_sdk(sdk *out, lc_error *err)
{
    const char *given = getenv("LIGHTCONE_SDK");
    if (given && *given) {
        if (sdk_at(given, out)) return LC_OK;
        return lc_error_set(err, LC_E_NOT_FOUND,
                            "LIGHTCONE_SDK=%s holds no " HEADER " and " RUNTIME, given);
    }
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    for (char *slash; (slash = strrchr(path, '/')) && slash > path;) {
        *slash = 0;
        if (sdk_at(path, out)) return LC_OK;
    }
    return lc_error_set(err, LC_E_NOT_FOUND,
                        "cannot find " HEADER " near this program; set LIGHTCONE_SDK to the folder "
                        "that holds include/ and sdk/");
}

/* Runs a program found in PATH; its exit code, or -1 with errno when it cannot be started. */
static int run(char *const *argv)
{
    pid_t pid;
    int rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (rc != 0) {
        errno = rc;
        return -1;
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static lc_status run_clang(const char *folder, const glob_t *sources, const sdk *s,
                           const char *out_path, lc_error *err)
{
    static const char *const flags[] = {
        "--target=wasm32", "-std=c23",          "-O2",
        "-mbulk-memory",   "-ffreestanding",    "-nostdlib",
        "-Wall",           "-Wextra",           "-fmacro-backtrace-limit=1",
        "-Wl,--no-entry",  "-Wl,--stack-first", "-Wl,-z,stack-size=1048576"};
    static const char *const compilers[] = {"clang-19", "clang"};
    LC_VEC(char *) argv = {0};
    char *include = lc_format("-I%s", s->include);
    lc_vec_push(&argv, NULL);
    for (size_t i = 0; i < LC_ARRAY_LEN(flags); i++) lc_vec_push(&argv, (char *)flags[i]);
    lc_vec_push(&argv, include);
    lc_vec_push(&argv, (char *)"-o");
    lc_vec_push(&argv, (char *)out_path);
    for (size_t i = 0; i < sources->gl_pathc; i++) lc_vec_push(&argv, sources->gl_pathv[i]);
    lc_vec_push(&argv, s->runtime);
    lc_vec_push(&argv, NULL);
    int code = -1;
    for (size_t i = 0; i < LC_ARRAY_LEN(compilers) && code < 0; i++) {
        argv.items[0] = (char *)compilers[i];
        code = run(argv.items);
    }
    lc_status rc = LC_OK;
    if (code < 0)
        rc = lc_error_set(err, LC_E_NOT_FOUND,
                          "cannot start clang-19 or clang (%s); modules in C need the Debian "
                          "packages clang-19 and lld-19, or the like",
                          strerror(errno));
    else if (code > 0)
        rc = lc_error_set(err, LC_E_INVALID, "the module in %s does not compile", folder);
    lc_free(include);
    lc_vec_deinit(&argv);
    return rc;
}

static lc_status compile(const char *folder, const glob_t *sources, lc_buf *wasm, lc_error *err)
{
    sdk s;
    lc_status rc = find_sdk(&s, err);
    if (rc != LC_OK) return rc;
    const char *base = getenv("TMPDIR");
    char *temporary = lc_format("%s/lightcone-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(temporary)) {
        char *path = lc_format("%s/module.wasm", temporary);
        rc = run_clang(folder, sources, &s, path, err);
        if (rc == LC_OK) rc = lc_disk_read_file(lc_disk_system(), path, wasm, err);
        unlink(path);
        rmdir(temporary);
        lc_free(path);
    } else {
        rc = lc_error_set(err, LC_E_IO, "cannot create %s: %s", temporary, strerror(errno));
    }
    lc_free(temporary);
    sdk_deinit(&s);
    return rc;
}

/* The folder's name with what glob would understand made plain. */
static char *pattern_of(const char *folder)
{
    lc_buf out = LC_BUF_INIT;
    for (const char *p = folder; *p; p++) {
        if (strchr("*?[]\\", *p)) lc_buf_put_u8(&out, '\\');
        lc_buf_put_u8(&out, (uint8_t)*p);
    }
    lc_buf_put_str(&out, "/*.c");
    return lc_buf_give_cstr(&out);
}

lc_status lc_compile_module(const char *folder, lc_buf *wasm, lc_error *err)
{
    struct stat st;
    if (stat(folder, &st) != 0)
        return lc_error_set(err, LC_E_NOT_FOUND, "cannot open module path %s: %s", folder,
                            strerror(errno));
    /* A name that begins with a dash is no option of the compiler. */
    char *plain = lc_format("%s%s", *folder == '-' ? "./" : "", folder);
    char *pattern = pattern_of(plain);
    glob_t sources = {0};
    lc_status rc;
    if (glob(pattern, 0, NULL, &sources) == 0)
        rc = compile(folder, &sources, wasm, err);
    else
        rc = lc_error_set(err, LC_E_NOT_FOUND,
                          "%s holds no C sources (*.c); a module in another language is built with "
                          "its own tools, and its file given with --bin-path",
                          folder);
    globfree(&sources);
    lc_free(pattern);
    lc_free(plain);
    return rc;
}

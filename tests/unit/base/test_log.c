/* The server's own log, and how the process ends on a broken invariant. */
#include "lc_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What `write` prints on stderr, run in a child; *status is how the child ended. */
static char *stderr_of(void (*write)(void), int *status)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        write();
        _exit(0);
    }
    close(ends[1]);
    lc_buf text = LC_BUF_INIT;
    ssize_t got;
    while ((got = read(ends[0], lc_buf_reserve(&text, 512), 512)) > 0) text.len += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, status, 0), child);
    return lc_buf_give_cstr(&text);
}

static void write_some(void)
{
    lc_log(LC_LOG_INFO, "first %d", 1);
    lc_log(LC_LOG_DEBUG, "not shown");
    lc_log(LC_LOG_ERROR, "two\nlines");
    lc_log_set_level(LC_LOG_DEBUG);
    lc_log(LC_LOG_DEBUG, "shown");
    lc_log_set_level(LC_LOG_ERROR);
    lc_log(LC_LOG_WARN, "not shown");
}

LC_TEST(log_lines)
{
    int status;
    char *text = stderr_of(write_some, &status);
    assert_int_equal(status, 0);
    static const char *const want[] = {" INFO first 1", "ERROR two lines", "DEBUG shown"};
    char *line = text;
    for (size_t i = 0; i < LC_ARRAY_LEN(want); i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        assert_int_equal(line[4], '-'); /* 2026-11-21T09:31:14.590992Z */
        assert_int_equal(line[26], 'Z');
        assert_string_equal(line + 28, want[i]);
        line = end + 1;
    }
    assert_string_equal(line, "");
    lc_free(text);
}

static void break_invariant(void)
{
    LC_ASSERT(1 + 1 == 3);
}

LC_TEST(bug_aborts_with_its_place)
{
    int status;
    char *text = stderr_of(break_invariant, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "test_log.c:"));
    assert_non_null(strstr(text, "assertion failed: 1 + 1 == 3"));
    lc_free(text);
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(log_lines), cmocka_unit_test(bug_aborts_with_its_place));
}

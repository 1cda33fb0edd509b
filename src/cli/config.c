/*
 * cli.toml: the little that the command line remembers.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <sys/stat.h>

char *lc_cli_config_folder(void)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    if (base && *base) return lc_format("%s/lightcone", base);
    const char *home = getenv("HOME");
    return home && *home ? lc_format("%s/.config/lightcone", home) : NULL;
}

static char *config_path(void)
{
    char *folder = lc_cli_config_folder();
    char *path = lc_format("%s/cli.toml", folder ? folder : ".");
    lc_free(folder);
    return path;
}

/* The value of `key = "value"`; NULL when the line is another one. Heap. */
static char *value_of(lc_span line, const char *key)
{
    size_t n = strlen(key);
    if (line.len < n || memcmp(line.ptr, key, n) != 0) return NULL;
    const uint8_t *open = memchr(line.ptr + n, '"', line.len - n);
    for (const uint8_t *p = line.ptr + n; open && p < open; p++)
        if (*p != ' ' && *p != '=' && *p != '\t') return NULL;
    if (!open) return NULL;
    size_t rest = line.len - (size_t)(open + 1 - line.ptr);
    const uint8_t *close = memchr(open + 1, '"', rest);
    return close ? lc_span_to_cstr(LC_SPAN(open + 1, (size_t)(close - open - 1))) : NULL;
}

lc_status lc_cli_config_load(lc_cli_config *c, lc_error *err)
{
    *c = (lc_cli_config){.path = config_path()};
    lc_buf text = LC_BUF_INIT;
    lc_status rc = lc_disk_read_file(lc_disk_system(), c->path, &text, err);
    if (rc == LC_E_NOT_FOUND) {
        lc_error_clear(err);
        return LC_OK;
    }
    lc_span rest = lc_buf_span(&text);
    while (rc == LC_OK && rest.len) {
        const uint8_t *nl = memchr(rest.ptr, '\n', rest.len);
        lc_span line = LC_SPAN(rest.ptr, nl ? (size_t)(nl - rest.ptr) : rest.len);
        size_t skip = line.len + (nl ? 1 : 0);
        rest = LC_SPAN(rest.ptr + skip, rest.len - skip);
        char *value;
        if ((value = value_of(line, "default_server"))) {
            lc_free(c->default_server);
            c->default_server = value;
        } else if ((value = value_of(line, "token"))) {
            lc_free(c->token);
            c->token = value;
        }
    }
    lc_buf_deinit(&text);
    return rc;
}

lc_status lc_cli_config_save(const lc_cli_config *c, lc_error *err)
{
    char *folder = lc_strdup(c->path);
    *strrchr(folder, '/') = 0;
    int made = lc_disk_system()->mkdirs(lc_disk_system()->self, folder);
    if (made < 0) {
        lc_error_set(err, LC_E_IO, "cannot create %s: %s", folder, strerror(-made));
        lc_free(folder);
        return LC_E_IO;
    }
    lc_free(folder);
    lc_buf text = LC_BUF_INIT;
    if (c->default_server) lc_buf_printf(&text, "default_server = \"%s\"\n", c->default_server);
    if (c->token) lc_buf_printf(&text, "token = \"%s\"\n", c->token);
    mode_t mask = umask(077); /* it holds a token */
    lc_status rc = lc_disk_write_file(lc_disk_system(), c->path, lc_buf_span(&text), err);
    umask(mask);
    if (rc == LC_OK) fprintf(stderr, "Saving config to %s.\n", c->path);
    lc_buf_deinit(&text);
    return rc;
}

void lc_cli_config_deinit(lc_cli_config *c)
{
    lc_free(c->path);
    lc_free(c->default_server);
    lc_free(c->token);
    *c = (lc_cli_config){0};
}

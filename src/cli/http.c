/*
 * Requests to a server, by libcurl.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <curl/curl.h>

enum { CONNECT_SECONDS = 30 };

typedef struct transfer {
    const lc_cli_request *request;
    CURL *curl;
    lc_buf *body;
} transfer;

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    transfer *x = arg;
    long status = 0;
    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (!x->request->each || status / 100 != 2)
        lc_buf_put(x->body, data, size * count);
    else if (!x->request->each(x->request->arg, LC_SPAN(data, size * count)))
        return CURL_WRITEFUNC_ERROR;
    return size * count;
}

static size_t give(char *data, size_t size, size_t count, void *arg)
{
    const lc_cli_request *q = arg;
    ssize_t n = q->read(q->arg, data, size * count);
    return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static struct curl_slist *headers_of(const char *token, const char *content_type)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    char *line =
        lc_format("Content-Type:%s%s", content_type ? " " : "", content_type ? content_type : "");
    list = curl_slist_append(list, line);
    lc_free(line);
    if (!token) return list;
    line = lc_format("Authorization: Bearer %s", token);
    list = curl_slist_append(list, line);
    lc_free(line);
    return list;
}

lc_status lc_http_send(const lc_target *t, const lc_cli_request *q, const char *path,
                       lc_cli_response *out, lc_error *err)
{
    *out = (lc_cli_response){.url = lc_format("%s%s", t->url, path)};
    out->had_token = t->token && !q->is_plain;
    const char *method = q->method ? q->method : "GET";
    CURL *curl = curl_easy_init();
    transfer x = {q, curl, &out->body};
    struct curl_slist *headers = headers_of(out->had_token ? t->token : NULL, q->content_type);
    curl_easy_setopt(curl, CURLOPT_URL, out->url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "lightcone-cli/" LC_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &x);
    if (q->read) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
        curl_easy_setopt(curl, CURLOPT_READDATA, q);
    } else if (q->body.ptr || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body.ptr ? (const char *)q->body.ptr : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
    }
    CURLcode rc = curl_easy_perform(curl);
    lc_status status = LC_OK;
    if (rc != CURLE_OK) {
        status = lc_error_set(err, LC_E_IO, "error sending request for url (%s): %s", out->url,
                              curl_easy_strerror(rc));
        lc_cli_response_deinit(out);
    } else {
        char *type = NULL;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
        curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
        out->content_type = type ? lc_strdup(type) : NULL;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

lc_status lc_http_fetch(const lc_target *t, const lc_cli_request *q, lc_cli_response *out,
                        lc_error *err, const char *path, ...)
{
    lc_buf text = LC_BUF_INIT;
    va_list args;
    va_start(args, path);
    lc_buf_vprintf(&text, path, args);
    va_end(args);
    char *full = lc_buf_give_cstr(&text);
    lc_status rc = lc_http_send(t, q, full, out, err);
    lc_free(full);
    if (rc != LC_OK) return rc;
    rc = lc_cli_response_check(out, err);
    if (rc != LC_OK) lc_cli_response_deinit(out);
    return rc;
}

void lc_cli_response_deinit(lc_cli_response *r)
{
    lc_free(r->content_type);
    lc_free(r->url);
    lc_buf_deinit(&r->body);
    *r = (lc_cli_response){0};
}

void lc_http_status_print(long status, lc_buf *out)
{
    static const struct {
        long status;
        const char *phrase;
    } phrases[] = {
        {400, "Bad Request"},         {401, "Unauthorized"},
        {402, "Payment Required"},    {403, "Forbidden"},
        {404, "Not Found"},           {405, "Method Not Allowed"},
        {413, "Payload Too Large"},   {415, "Unsupported Media Type"},
        {426, "Upgrade Required"},    {500, "Internal Server Error"},
        {501, "Not Implemented"},     {502, "Bad Gateway"},
        {503, "Service Unavailable"}, {504, "Gateway Timeout"},
    };
    const char *phrase = "<none>";
    for (size_t i = 0; i < LC_ARRAY_LEN(phrases); i++)
        if (phrases[i].status == status) phrase = phrases[i].phrase;
    lc_buf_printf(out, "%ld %s", status, phrase);
}

lc_status lc_cli_response_check(const lc_cli_response *r, lc_error *err)
{
    if (r->status / 100 == 2) return LC_OK;
    lc_buf text = LC_BUF_INIT;
    if (r->body.len) {
        lc_buf_put_span(&text, lc_buf_span(&r->body));
        lc_buf_put_str(&text, "\n\nCaused by:\n    ");
    }
    lc_buf_printf(&text, "HTTP status %s error (", r->status < 500 ? "client" : "server");
    lc_http_status_print(r->status, &text);
    lc_buf_printf(&text, ") for url (%s)", r->url);
    if (r->status == 401 && r->had_token)
        lc_buf_put_str(&text, "\n\nThe saved login does not count at this server: it is another "
                              "server's, or the server has new keys.\n`lightcone logout` forgets "
                              "it, and the next command gets a new one.");
    lc_status code = r->status == 404 ? LC_E_NOT_FOUND : LC_E_IO;
    lc_error_set(err, code, LC_SPAN_FMT, LC_SPAN_ARG(lc_buf_span(&text)));
    lc_buf_deinit(&text);
    return code;
}

char *lc_url_escape(const char *text)
{
    lc_buf out = LC_BUF_INIT;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c))
            lc_buf_put_u8(&out, c);
        else
            lc_buf_printf(&out, "%%%02X", c);
    }
    return lc_buf_give_cstr(&out);
}

/*
 * Small routes, identities, and what is known but not served yet.
 */
#include "api/routes.h"

#include <stdio.h>

void lc_route_ping(lc_exchange *x)
{
    x->status = 200;
}

void lc_route_health(lc_exchange *x)
{
    lc_buf_put_str(&x->body, "{\"nodes\":[0],\"package_name\":\"lightcone\",\"schedulable\":true,"
                             "\"version\":\"" LC_VERSION "\"}");
    lc_exchange_json(x, 200);
}

void lc_route_sd_config(lc_exchange *x)
{
    lc_buf_put_str(&x->body, "[{\"targets\":[\"node:80\"],\"labels\":{}}]");
    lc_exchange_json(x, 200);
}

void lc_route_unsupported(lc_exchange *x)
{
    lc_exchange_text(x, 501, "not supported by this version of the server: " LC_SPAN_FMT,
                     LC_SPAN_ARG(lc_http_path(x->request)));
}

/* ------------------------------------------------------------------ identities */

/* 64 bare hex digits. False: answered 400. */
static bool path_identity(lc_exchange *x, lc_identity *out)
{
    lc_span s = x->segments[0];
    uint8_t bytes[32];
    bool is_hex = s.len % 2 == 0 && s.len <= 512;
    for (size_t i = 0; i < s.len && is_hex; i++) {
        uint8_t c = s.ptr[i] | 0x20;
        is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    if (!is_hex) {
        lc_exchange_text(x, 400,
                         "Invalid URL: invalid value: string \"" LC_SPAN_FMT
                         "\", expected a byte array or hex string",
                         LC_SPAN_ARG(s));
        return false;
    }
    if (s.len != LC_IDENTITY_HEX) {
        lc_exchange_text(x, 400, "Invalid URL: too %s elements for array",
                         s.len < LC_IDENTITY_HEX ? "few" : "many");
        return false;
    }
    lc_hex_decode(s, bytes);
    for (uint32_t i = 0; i < 32; i++) out->bytes[i] = bytes[31 - i];
    return true;
}

void lc_route_identity_post(lc_exchange *x)
{
    lc_claims claims;
    lc_auth_mint(lc_node_auth(x->api->node), &claims);
    char hex[LC_IDENTITY_HEX + 1];
    lc_identity_to_hex(&claims.identity, hex);
    lc_buf_printf(&x->body, "{\"identity\":\"%s\",\"token\":\"%s\"}", hex, claims.token);
    lc_claims_deinit(&claims);
    lc_exchange_json(x, 200);
}

void lc_route_public_key(lc_exchange *x)
{
    lc_buf_put_span(&x->body, lc_auth_public_key_pem(lc_node_auth(x->api->node)));
    x->status = 200;
    x->content_type = "application/pem-certificate-chain";
}

void lc_route_websocket_token(lc_exchange *x)
{
    char *token = lc_auth_mint_websocket_token(lc_node_auth(x->api->node), &x->caller);
    lc_buf_printf(&x->body, "{\"token\":\"%s\"}", token);
    lc_free(token);
    lc_exchange_json(x, 200);
}

void lc_route_verify(lc_exchange *x)
{
    lc_identity id;
    if (!path_identity(x, &id) || !lc_exchange_authenticate(x)) return;
    x->status = lc_identity_equal(&id, &x->caller.identity) ? 204 : 400;
}

void lc_route_owned(lc_exchange *x)
{
    lc_identity id;
    if (!path_identity(x, &id)) return;
    lc_buf_put_str(&x->body, "{\"identities\":");
    lc_node_owned_json(x->api->node, &id, &x->body);
    lc_buf_put_str(&x->body, "}");
    lc_exchange_json(x, 200);
}

/* ---------------------------------------------------------------------- energy */

static void answer_energy(lc_exchange *x, const lc_identity *id)
{
    lc_buf_put_str(&x->body, "{\"balance\":\"");
    lc_node_energy(x->api->node, id, &x->body);
    lc_buf_put_str(&x->body, "\"}");
    lc_exchange_json(x, 200);
}

void lc_route_energy_get(lc_exchange *x)
{
    lc_identity id;
    if (path_identity(x, &id)) answer_energy(x, &id);
}

/* Unsigned decimal up to 2^127-1. */
static bool parse_amount(lc_span text, lc_i128 *out)
{
    unsigned __int128 value = 0, limit = ((unsigned __int128)1 << 127) - 1;
    if (text.len == 0) return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = text.ptr[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = (lc_i128){(uint64_t)value, (int64_t)(value >> 64)};
    return true;
}

void lc_route_energy_post(lc_exchange *x)
{
    lc_identity id;
    lc_span amount = LC_STR("0");
    lc_i128 value;
    if (!path_identity(x, &id)) return;
    lc_url_query_get(lc_http_query(x->request), "amount", 0, x->arena, &amount);
    if (!parse_amount(amount, &value)) {
        x->status = 400;
        return;
    }
    lc_node_energy_add(x->api->node, &x->caller.identity, value);
    answer_energy(x, &x->caller.identity);
}

void lc_route_energy_put(lc_exchange *x)
{
    lc_identity id;
    if (path_identity(x, &id)) x->status = 401; /* nobody can be identity zero */
}

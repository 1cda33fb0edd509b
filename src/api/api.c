#include "api/routes.h"

lc_api *lc_api_create(const lc_api_options *o)
{
    lc_api *a = lc_alloc_zero(sizeof *a);
    a->node = o->node;
    a->handler = (lc_http_handler){
        .body_limit = lc_api_body_limit,
        .streams_body = lc_api_streams_body,
        .handle = lc_api_handle,
        .arg = a,
    };
    a->mount_count = o->mount_count;
    a->mounts = lc_alloc_zero((o->mount_count + 1) * sizeof *a->mounts);
    for (uint32_t i = 0; i < o->mount_count; i++) {
        a->mounts[i].path = lc_strdup(o->mounts[i].path);
        a->mounts[i].folder = lc_strdup(o->mounts[i].folder);
    }
    a->loop_count = o->loop_count;
    a->loops = lc_alloc_zero(o->loop_count * sizeof *a->loops);
    for (uint32_t i = 0; i < o->loop_count; i++) a->loops[i] = lc_api_loop_create(a, o->loops[i]);
    return a;
}

const lc_http_handler *lc_api_handler(lc_api *a)
{
    return &a->handler;
}

lc_node *lc_api_node(const lc_api *a)
{
    return a->node;
}

void lc_api_destroy(lc_api *a)
{
    for (uint32_t i = 0; i < a->loop_count; i++) lc_api_loop_join(a->loops[i]);
    for (uint32_t i = 0; i < a->loop_count; i++) lc_api_loop_destroy(a->loops[i]);
    for (uint32_t i = 0; i < a->mount_count; i++) {
        lc_free((char *)a->mounts[i].path);
        lc_free((char *)a->mounts[i].folder);
    }
    lc_free(a->mounts);
    lc_free(a->loops);
    lc_free(a);
}

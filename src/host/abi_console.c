/* console_log and the console timers (02 sections 2.5 and 7). */
#include "host/host_internal.h"

static lc_module_log_level level_of(uint8_t level)
{
    return level <= LC_MODULE_LOG_TRACE || level == LC_MODULE_LOG_PANIC ? (lc_module_log_level)level
                                                                        : LC_MODULE_LOG_DEBUG;
}

/* Guest text as valid UTF-8: the guest's own bytes where they are valid. */
static lc_span lossy(lc_span text, lc_buf *scratch)
{
    if (lc_utf8_valid(text)) return text;
    lc_buf_reset(scratch);
    lc_utf8_lossy(text, scratch);
    return lc_buf_span(scratch);
}

/* An empty text is a text: ptr NULL would mean none. */
static lc_span never_null(lc_span text)
{
    return text.ptr ? text : LC_STR("");
}

/* Nothing the guest passes makes console_log trap: a bad pointer makes it do nothing. */
void abi_console_log(lc_abi *a, uint32_t level, uint32_t target, uint32_t target_len,
                     uint32_t filename, uint32_t filename_len, uint32_t line, uint32_t message,
                     uint32_t message_len)
{
    const uint32_t ptrs[3] = {target, filename, message};
    const uint32_t lens[3] = {target_len, filename_len, message_len};
    lc_span texts[3];
    if (message == 0) return;
    a->look_again(a);
    for (int i = 0; i < 3; i++) {
        texts[i] = LC_SPAN_EMPTY;
        if (ptrs[i] == 0) continue;
        if ((uint64_t)ptrs[i] + lens[i] > a->size) return;
        texts[i] = never_null(lossy(LC_SPAN(a->base + ptrs[i], lens[i]), &a->scratch[i]));
    }
    if (!a->env->log) return;

    lc_module_log_record record = {
        .level = level_of((uint8_t)level),
        .target = texts[0],
        .filename = texts[1],
        .function = a->function,
        .has_line = line != UINT32_MAX,
        .line = line,
        .message = texts[2],
    };
    lc_buf trace = LC_BUF_INIT;
    if (record.level == LC_MODULE_LOG_PANIC && a->trace) {
        a->trace(a, &trace);
        record.trace = lc_buf_span(&trace);
    }
    a->env->log(a->env->arg, &record);
    lc_buf_deinit(&trace);
}

uint32_t abi_console_timer_start(lc_abi *a, uint32_t name, uint32_t name_len)
{
    lc_span text;
    if (!abi_span(a, name, name_len, &text)) return 0;
    uint32_t handle = a->free_timer;
    if (handle) {
        a->free_timer = a->timers.items[handle - 1].next_free;
    } else {
        if (a->timers.len >= ABI_TIMERS_MAX)
            return abi_trap(a, "limit of %u open console timers reached", ABI_TIMERS_MAX);
        lc_vec_push(&a->timers, (abi_timer){0});
        handle = (uint32_t)a->timers.len;
    }
    text = lossy(text, &a->scratch[0]);
    a->timers.items[handle - 1] = (abi_timer){
        .name = LC_SPAN(lc_memdup(text.ptr, text.len), text.len),
        .started = lc_clock_mono(a->env->clock),
    };
    return handle;
}

uint32_t abi_console_timer_end(lc_abi *a, uint32_t timer)
{
    if (timer - 1 >= a->timers.len || !a->timers.items[timer - 1].name.ptr)
        return LC_ERRNO_NO_SUCH_CONSOLE_TIMER;
    abi_timer *t = &a->timers.items[timer - 1];
    lc_buf message = LC_BUF_INIT;
    lc_buf_put_str(&message, "Timing span ");
    lc_rust_debug(t->name, '\"', &message);
    lc_buf_put_str(&message, ": ");
    abi_debug_duration(&message, lc_clock_mono(a->env->clock) - t->started);
    if (a->env->log)
        a->env->log(a->env->arg, &(lc_module_log_record){
                                     .level = LC_MODULE_LOG_INFO,
                                     .function = a->function,
                                     .message = lc_buf_span(&message),
                                 });
    lc_buf_deinit(&message);
    lc_free((void *)t->name.ptr);
    t->name = LC_SPAN_EMPTY;
    t->next_free = a->free_timer;
    a->free_timer = timer;
    return LC_ERRNO_OK;
}

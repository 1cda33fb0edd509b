/*
 * Text in columns.
 */
#include "cli/cli.h"

#include <unistr.h>
#include <uniwidth.h>

void lc_text_table_add(lc_text_table *t, lc_span cell)
{
    lc_vec_push(&t->cells, lc_arena_copy(&t->arena, cell));
}

/* Takes the first line off the cell. */
static lc_span next_line(lc_span *cell)
{
    const uint8_t *end = cell->len ? memchr(cell->ptr, '\n', cell->len) : NULL;
    lc_span line = LC_SPAN(cell->ptr, end ? (size_t)(end - cell->ptr) : cell->len);
    size_t taken = line.len + (end ? 1 : 0);
    *cell = LC_SPAN(cell->ptr + taken, cell->len - taken);
    return line;
}

/* Cells of a terminal: an emoji takes two. */
static size_t line_width(lc_span line)
{
    return line.len ? (size_t)u8_width(line.ptr, line.len, "UTF-8") : 0;
}

static size_t cell_width(lc_span cell)
{
    size_t widest = 0;
    while (cell.len) {
        size_t width = line_width(next_line(&cell));
        if (width > widest) widest = width;
    }
    return widest;
}

static void put_many(lc_buf *out, char c, size_t n)
{
    memset(lc_buf_extend(out, n), c, n);
}

/* One row, as many lines as its highest cell has. rest is changed. */
static void print_row(lc_span *rest, const size_t *widths, size_t columns, lc_buf *out)
{
    bool is_more;
    do {
        is_more = false;
        for (size_t c = 0; c < columns; c++) {
            lc_span line = next_line(&rest[c]);
            lc_buf_put_str(out, c ? "| " : " ");
            lc_buf_put_span(out, line);
            put_many(out, ' ', widths[c] - line_width(line) + 1);
            is_more |= rest[c].len > 0;
        }
        lc_buf_put_u8(out, '\n');
    } while (is_more);
}

void lc_text_table_print(const lc_text_table *t, lc_buf *out)
{
    size_t n = t->columns;
    size_t *widths = lc_alloc_zero((n + 1) * sizeof *widths);
    lc_span *row = lc_alloc((n + 1) * sizeof *row);
    for (size_t i = 0; i < t->cells.len; i++) {
        size_t width = cell_width(t->cells.items[i]);
        if (width > widths[i % n]) widths[i % n] = width;
    }
    for (size_t i = 0; i < t->cells.len; i += n) {
        memcpy(row, t->cells.items + i, n * sizeof *row);
        print_row(row, widths, n, out);
        if (i) continue;
        for (size_t c = 0; c < n; c++) {
            if (c) lc_buf_put_u8(out, '+');
            put_many(out, '-', widths[c] + 2);
        }
        lc_buf_put_u8(out, '\n');
    }
    if (n == 0) lc_buf_put_u8(out, '\n');
    lc_free(widths);
    lc_free(row);
}

void lc_text_table_deinit(lc_text_table *t)
{
    lc_vec_deinit(&t->cells);
    lc_arena_deinit(&t->arena);
}

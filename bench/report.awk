# report.awk: the tables of bench/run.sh from its lines `key name value name value ...`. A figure is
# the median of its repeats; a ratio to the ceiling is the median of the ratios of each repeat. Beside
# them stand the figures of the reference server, recorded on the same kind of machine.
{
    for (i = 2; i < NF; i += 2) value[$1, $i, count[$1, $i]++] = $(i + 1)
}

function median(list, n,    i, j, t) {
    for (i = 1; i < n; i++)
        for (j = i; j > 0 && list[j - 1] > list[j]; j--) {
            t = list[j]; list[j] = list[j - 1]; list[j - 1] = t
        }
    return n % 2 ? list[(n - 1) / 2] : (list[n / 2 - 1] + list[n / 2]) / 2
}
function has(key, name) { return (key, name) in count }
function of(key, name,    i, list) {
    if (!has(key, name)) return ""
    for (i = 0; i < count[key, name]; i++) list[i] = value[key, name, i] + 0
    return median(list, i)
}
function part(key, ceiling, name,    i, list) {
    if (!has(key, name) || count[key, name] != count[ceiling, name]) return "-"
    for (i = 0; i < count[key, name]; i++) list[i] = value[key, name, i] / value[ceiling, name, i]
    return sprintf("%.0f %%", 100 * median(list, i))
}
# Digits as many as the size of the number deserves, thousands apart.
function show(x,    text, out) {
    if (x == "") return "-"
    if (x < 10) return sprintf(x == int(x) ? "%d" : "%.2f", x)
    if (x < 100) return sprintf("%.1f", x)
    text = sprintf("%.0f", x)
    for (; length(text) > 3; text = substr(text, 1, length(text) - 3))
        out = " " substr(text, length(text) - 2) out
    return text out
}
function times(x, y) { return x == "" || y == "" || y + 0 == 0 ? "-" : show(x / y) "x" }
function milli(key, name) { return has(key, name) ? show(of(key, name) / 1000) : "-" }

function transfer(shape, title, echo, reference,    m, key, name, r) {
    split(reference, r, " ")
    for (m = 1; m <= 2; m++) {
        name = m == 1 ? "c" : "rust"
        key = "transfer/" name "/" shape
        if (!has(key, "tx/s")) continue
        print "| " title " | " (m == 1 ? "C" : "Rust") " | " show(of(key, "tx/s")) " | " \
            part(key, echo, "tx/s") " | " show(r[1]) " | " times(of(key, "tx/s"), r[1]) " | " \
            milli(key, "p50_us") " | " milli(key, "p99_us") " | " milli(key, "p999_us") " | " \
            show(r[3]) " | " show(of(key, "server_us")) " | " show(r[2]) " | " \
            show(of(key, "client_us")) " |" (of(key, "errors") ? " errors!" : "")
    }
}
function ceiling(key, title) {
    if (!has(key, "tx/s")) return
    print "| " title " | echo | " show(of(key, "tx/s")) " | 100 % | | | " milli(key, "p50_us") " | " \
        milli(key, "p99_us") " | " milli(key, "p999_us") " | | " show(of(key, "server_us")) " | | " \
        show(of(key, "client_us")) " |"
}
function fan(n, rows, reference,    key, echo, r) {
    split(reference, r, " ")
    key = "fan/" n "/" rows
    echo = "broadcast/" n "/" rows
    print "| " show(n) " x " show(rows) " | " show(of(key, "deliveries/s")) " | " show(of(key, "mb/s")) " | " \
        show(of(echo, "deliveries/s")) " | " part(key, echo, "deliveries/s") " | " show(r[1]) " | " \
        times(of(key, "deliveries/s"), r[1]) " | " milli(key, "p50_us") " | " show(of(key, "server_us")) " | " \
        show(of(echo, "server_us")) " | " show(r[2]) " |"
}
function keys(key, title, reference,    r) {
    split(reference, r, " ")
    print "| " title " | " show(of(key, "calls/s")) " | " show(r[1]) " | " times(of(key, "calls/s"), r[1]) " | " \
        show(of(key, "deliveries/s")) " | " show(of(key, "server_us")) " | " show(r[2]) " | " \
        times(r[2], of(key, "server_us")) " |"
}
function snapshot(title, name, calm,    m, key, text) {
    text = "| " title
    for (m = 1; m <= 2; m++) {
        key = m == 1 ? "snapshot" : "snapshot_text"
        text = text " | " show(of(key, name)) (calm ? " (" show(of(key, calm)) ")" : "")
    }
    print text " |"
}
function line(title, ours, reference, ratio) { print "| " title " | " ours " | " reference " | " ratio " |" }

END {
    print "Commit " version ", " date ", " cores " virtual cores (" model ") shared with the load client, medians of " \
        repeats ". Other programs kept " show(of("elsewhere", "threads")) " threads busy (on a quiet machine 0).\n"

    if (has("transfer/c/64/40/v2/true/0", "tx/s")) {
        print "| transfer | module | tx/s | of echo | reference | ratio | p50 ms | p99 ms | p999 ms | reference p50 ms | server us/tx | reference us/tx | client us/tx |"
        print "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        transfer("64/40/v2/true/0", "64 x 40, v2, confirmed", "echo/64/40/v2", "91256 19.4 27.9")
        transfer("64/40/v2/false/0", "64 x 40, v2, unconfirmed", "echo/64/40/v2", "99556 18.0 25.5")
        transfer("64/40/v2/true/1.5", "64 x 40, v2, confirmed, alpha 1.5", "echo/64/40/v2", "")
        ceiling("echo/64/40/v2", "64 x 40, v2")
        transfer("64/40/v3/true/0", "64 x 40, v3, confirmed", "echo/64/40/v3", "121332 14.1 20.6")
        transfer("64/40/v3/false/0", "64 x 40, v3, unconfirmed", "echo/64/40/v3", "104450 16.3 24.3")
        ceiling("echo/64/40/v3", "64 x 40, v3")
        transfer("64/1/v2/true/0", "64 x 1, v2, confirmed", "echo/64/1/v2", "33042 37.3 1.86")
        ceiling("echo/64/1/v2", "64 x 1, v2")
        transfer("1/1/v2/true/0", "1 x 1, v2, confirmed", "echo/1/1/v2", "747 330 1.45")
        transfer("1/1/v2/false/0", "1 x 1, v2, unconfirmed", "echo/1/1/v2", "772 337 1.45")
        ceiling("echo/1/1/v2", "1 x 1, v2")
        print ""
    }
    if (has("fan/100/1", "mb/s")) {
        print "| subscribers x rows a step | deliveries/s | MB/s | broadcast | of broadcast | reference | ratio | step p50 ms | server us/delivery | broadcast us | reference us |"
        print "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        fan(100, 1, "58557 12.2")
        fan(100, 100, "34160 22.7")
        fan(100, 1000, "15259 49.5")
        fan(1000, 1, "35799 16.9")
        fan(1000, 100, "31535 18.5")
        fan(1000, 1000, "17733 32.2")
        print ""
    }
    if (has("keys/none/0", "calls/s")) {
        print "| live queries, all different | calls/s | reference | ratio | deliveries/s | server us/call | reference us | ratio |"
        print "|---|---:|---:|---:|---:|---:|---:|---:|"
        keys("keys/none/0", "none", "28124 24")
        keys("keys/eq/1000", "1 000 x `WHERE id = k`", "31628 36")
        keys("keys/eq/10000", "10 000 x the same", "34934 34")
        keys("keys/eq/50000", "50 000 x the same", "34563 34")
        keys("keys/range/100", "100 x `WHERE x >= a AND x < a + 10`", "13058 127")
        keys("keys/range/1000", "1 000 x the same", "1188 1100")
        keys("keys/range/10000", "10 000 x the same", "31 33000")
        print ""
    }
    if (has("snapshot", "rows")) {
        print "| snapshots | " show(of("snapshot", "rows")) " rows of 8 bytes | " show(of("snapshot_text", "rows")) " rows of 212 bytes |"
        print "|---|---:|---:|"
        snapshot("size, MB", "snapshot_mb", "")
        snapshot("freezing, us of CPU", "freeze_us", "")
        snapshot("longest commit during one, us (without one)", "busy_stall_us", "calm_stall_us")
        snapshot("longest CPU of a commit during one, us (without one)", "busy_cpu_us", "calm_cpu_us")
        snapshot("99.9 % of commits during one, us (without one)", "busy_p999_us", "calm_p999_us")
        snapshot("written, synced, renamed, read back, MB/s (the disk alone)", "write_mb/s", "disk_write_mb/s")
        snapshot("opened, MB/s", "load_mb/s", "")
        snapshot("opened, rows/s", "load_rows/s", "")
        print ""
    }
    if (has("storage", "rows_s")) {
        print "| storage and memory | here | reference | ratio |"
        print "|---|---:|---:|---:|"
        line("RSS with one small database, just published", show(of("memory", "published_mb")) " MB", "86-100 MB", \
            times(93, of("memory", "published_mb")))
        line("the same, restarted", show(of("memory", "opened_mb")) " MB (none open: " show(of("memory", "empty_mb")) ")", \
            "86-100 MB", times(93, of("memory", "opened_mb")))
        line("threads and wakeups a second when idle", show(of("idle", "threads")) ", " show(of("idle", "wakeups")), "-", "-")
        line("bytes a row at " show(rows) " rows (u32 auto-increment key, i32)", show(of("storage", "bytes_per_row")), \
            "48.6", times(48.6, of("storage", "bytes_per_row")))
        line("the same at " show(2 * rows) " rows, after a restart", show(of("storage", "replayed_per_row")), \
            "-", "-")
        line("inserts from a reducer, one durable call, rows/s", show(of("storage", "inserts/s")), "1 350 000", times(of("storage", "inserts/s"), 1350000))
        line("scan in a reducer, rows/s", show(of("storage", "scanned/s")), "25-40 million", times(of("storage", "scanned/s"), 32000000))
        line("start until it listens, ms", show(of("storage", "boot_s") * 1000), "-", "-")
        line("kill -9, then replay of these rows to the first SQL answer, rows/s", show(of("storage", "rows/s")), "900 000", \
            times(of("storage", "rows/s"), 900000))
        line("the same of a log of transfers, tx/s", show(of("storage", "tx/s")), "-", "-")
    }
}

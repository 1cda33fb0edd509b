#!/usr/bin/python3
"""Every command of the command line, by hand: what it prints, where, and its exit code."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
from server import BINARY, ROOT, Server

HEX64 = "[0-9a-f]{64}"
CHAT, BANK = "examples/chat", "examples/bank"
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Run:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


class Home:
    """A user: a folder for cli.toml, and the server all commands go to."""

    def __init__(self, server, config):
        self.server, self.config = server, config
        self.env = {**os.environ, "XDG_CONFIG_HOME": config, "NO_COLOR": "1"}
        self.env.pop("LIGHTCONE_SDK", None)

    def other(self):
        return Home(self.server, tempfile.mkdtemp(dir=self.server.data))

    def run(self, *words, stdin="", server=True, env=None, cwd=ROOT):
        argv = [BINARY, *words]
        if server:
            argv[2:2] = ["-s", self.server.url]
        return Run(subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120, cwd=cwd,
                                  env={**self.env, **(env or {})}))

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        if done.code != 0:
            raise AssertionError(f"{words}: exit {done.code}\n{done.out}{done.err}")
        return done.out

    def fails(self, *words, code=1, says="", **more):
        """The command fails with one clear line first."""
        done = self.run(*words, **more)
        first = done.err.splitlines()[:1]
        equal(done.code, code, f"{words}: {done.out}{done.err}")
        if not first or not re.match(r"Error: \S", first[0]):
            raise AssertionError(f"{words}: no clear first line\n{done.err}")
        if says not in done.err:
            raise AssertionError(f"{words}: {says!r} is not in\n{done.err}")
        return done

    def start(self, *words):
        return subprocess.Popen([BINARY, words[0], "-s", self.server.url, *words[1:]], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def equal(got, want, about=""):
    if got != want:
        raise AssertionError(f"{about}\ngot  {got!r}\nwant {want!r}")


def matches(text, pattern):
    found = re.fullmatch(pattern, text, re.S)
    if not found:
        raise AssertionError(f"{text!r}\ndoes not match {pattern!r}")
    return found


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("did not happen in time")
        time.sleep(0.05)


# ------------------------------------------------------------------- the program

@test
def help_and_version(home):
    matches(home.ok("version", server=False), r"lightcone \d+\.\d+\.\d+\n")
    equal(home.ok("--version", server=False), home.ok("version", server=False))
    text = home.ok("--help", server=False)
    commands = re.findall(r"^  (\w+) ", text, re.M)
    equal({"publish", "call", "sql", "subscribe", "logs", "describe", "list", "delete", "login", "start"} -
          set(commands), set())
    for command in commands:
        for words in ((command, "--help"), ("help", command), (command, "-h")):
            text = home.ok(*words, server=False)
            assert f"Usage: lightcone {command}" in text and len(text.splitlines()) > 4, text


@test
def wrong_usage(home):
    equal(home.run(server=False).code, 2)
    for words in (["frobnicate"], ["call"], ["call", "db"], ["sql", "db"], ["subscribe", "db"], ["logs"], ["delete"],
                  ["describe"], ["describe", "db", "table"], ["list", "x"], ["logs", "db", "-n", "many"],
                  ["logs", "db", "--level", "loud"], ["logs", "db", "--level-exact"], ["sql", "db", "q", "--format", "csv"],
                  ["sql", "db", "q", "--confirmed", "yes"], ["subscribe", "db", "q", "-n", "-1"],
                  ["subscribe", "db", "q", "-t", "soon"], ["publish", "a", "b"], ["publish", "a", "-b", "x", "-p", "y"],
                  ["publish", "a", "--delete-data=perhaps"], ["rename", "db"], ["login", "now"], ["server", "stop"],
                  ["start", "--listen-addr", "x"], ["start", "--io-threads", "0"], ["start", "--durability", "maybe"],
                  ["start", "--serve", "/x/=/nonexistent"]):
        home.fails(*words, code=2, server=False)
    for words in (["call", "--frob"], ["sql", "db", "q", "--confirmed"]):
        done = home.run(*words, server=False)
        equal((done.code, done.out), (2, ""))
        assert len(done.err.splitlines()) >= 1


@test
def no_server(home):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"127.0.0.1:{unused.getsockname()[1]}"
    for words in (["sql", "chat", "q"], ["call", "chat", "f"], ["logs", "chat"], ["subscribe", "chat", "q"],
                  ["describe", "chat"], ["list"], ["delete", "chat", "-y"], ["server", "ping"],
                  ["publish", "x", "-p", BANK]):
        home.fails(*words, "-s", url, server=False, says=f"error sending request for url (http://{url}/v1/")
    home.fails("sql", "chat", "q", "-s", "ftp://127.0.0.1", server=False)


@test
def unknown_database(home):
    for words in (["sql", "nothere", "q"], ["call", "nothere", "f"], ["logs", "nothere"], ["subscribe", "nothere", "q"],
                  ["describe", "nothere"], ["delete", "nothere", "-y"], ["lock", "nothere"]):
        done = home.fails(*words, says="Error: failed to find database `nothere`.\n")
        equal(done.out, "")
    if "not logged in" in home.ok("login", "show"):
        home.ok("login")
    nobody = "c200" + 60 * "1"
    for words in (["sql", nobody, "q"], ["call", nobody, "f"], ["logs", nobody], ["describe", nobody]):
        home.fails(*words, says="No such database.")
    home.fails("sql", "Bad_Name", "q", says="400")


@test
def full_disk(home):
    for words in (["version"], ["server", "ping", "-s", home.server.url]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=home.env)
        equal((done.returncode, done.stderr), (1, "Error: not everything could be written to the output\n"))


# ------------------------------------------------------------------- who we are

@test
def identities(home):
    home = home.other()
    toml = os.path.join(home.config, "lightcone/cli.toml")
    equal(home.ok("login", "show"), "You are not logged in. Run `lightcone login` to log in.\n")
    equal(home.ok("login", "show", "--json"), '{"identity":null}\n')
    equal(home.ok("logout"), "You are not logged in.\n")
    assert not os.path.exists(toml)

    done = home.run("login")
    equal(done.code, 0)
    identity = re.search(f"Logged in with identity ({HEX64})\n", done.err).group(1)
    assert f"Saving config to {toml}.\n" in done.err
    equal(os.stat(toml).st_mode & 0o777, 0o600)
    equal(home.ok("login", "show"), f"You are logged in as {identity}\n")
    home.fails("login", says="logged in already")

    shown = json.loads(home.ok("login", "show", "--json", "--token"))
    equal(shown["identity"], identity)
    equal(home.ok("logout"), f"Logged out (identity {identity}).\n")
    equal(home.ok("login", "--token=" + shown["token"]), f"Logged in with identity {identity}\n")
    equal(home.ok("login", "--token=abc"), f"Logged out (identity {identity}).\nToken saved.\n")
    home.fails("login", "show", says="Token does not look like a JSON web token: abc")
    done = home.fails("list", says="Token does not look like a JSON web token: abc")
    home.fails("logs", "c200" + 60 * "1", says="lightcone logout")
    equal(home.ok("logout"), "Logged out.\n")
    with open(toml, "w") as f:
        f.write('# where\ndefault_server = "127.0.0.1:1"\n')
    home.fails("list", server=False, says="http://127.0.0.1:1/v1/identity")


@test
def ping(home):
    url = home.server.url
    equal(home.ok("server", "ping"), f"Server is online: {url}\n")
    equal(home.ok("server", "ping", url + "/", server=False), f"Server is online: {url}\n")
    equal(home.ok("server", "ping", url + "/x", server=False), f"Server returned 404 (Not Found): {url}/x\n")


# ---------------------------------------------------------------------- publish

@test
def publish_prints(home):
    url = home.server.url
    made = home.ok("publish", "printer", "-p", BANK)
    identity = matches(made, f"Compiling {BANK}\nUploading to {url}\nChecking for breaking changes...\n"
                             f"Publishing module...\nCreated new database with name: printer, identity: ({HEX64})\n"
                       ).group(1)
    again = home.ok("publish", "printer", "--module-path", BANK, "--yes", "--break-clients")
    assert again.endswith(f"Updated database with name: printer, identity: {identity}\n"), again
    by_identity = home.ok("publish", identity, "-p", BANK)
    assert by_identity.endswith(f"Updated database with identity: {identity}\n"), by_identity
    nameless = home.ok("publish", "-p", BANK)
    matches(nameless.splitlines()[-1], f"Created new database with identity: {HEX64}")
    as_json = home.ok("publish", "printer", "-p", BANK, "--json")
    equal(json.loads(as_json), {"name": "printer", "identity": identity, "op": "updated"})


@test
def publish_a_built_file(home):
    folder = tempfile.mkdtemp(dir=home.server.data)
    wasm = os.path.join(folder, "m.wasm")
    subprocess.run(["clang-19", "--target=wasm32", "-std=c23", "-O2", "-mbulk-memory", "-ffreestanding", "-nostdlib",
                    "-Iinclude", "-Wl,--no-entry", "-o", wasm, BANK + "/bank.c", "sdk/module/lightcone_module.c"],
                   cwd=ROOT, check=True)
    out = home.ok("publish", "built", "-b", wasm)
    assert out.startswith(f"(WASM) Skipping build. Instead we are publishing {wasm}\n"), out
    assert home.ok("publish", "built", "-p", wasm).startswith("(WASM) Skipping build.")
    with open(wasm, "w") as f:
        f.write("this is no module")
    home.fails("publish", "built", "-b", wasm, says="magic header not detected")
    home.fails("publish", "unbuilt", "-b", wasm, says="magic header not detected")


@test
def publish_mistakes(home):
    folder = tempfile.mkdtemp(dir=home.server.data)
    home.fails("publish", "x", "-p", "/nonexistent", says="/nonexistent: No such file or directory")
    home.fails("publish", "x", "-b", "/nonexistent", says="/nonexistent: No such file or directory")
    home.fails("publish", "x", "-p", folder, says="holds no C sources")
    for name, reason in (("Big", "invalid characters in database name"), ("a_b", "invalid characters"),
                         ("", "database names cannot be empty"), ("ab-", "invalid hyphen in database name")):
        home.fails("publish", name, "-p", BANK, says=reason)
    with open(os.path.join(folder, "broken.c"), "w") as f:
        f.write("#include <lightcone/module.h>\nLC_REDUCER(broken)\n{\n    return nothing;\n}\n")
    done = home.run("publish", "x", "-p", folder)
    equal(done.code, 1)
    matches(done.err, r".*broken\.c:4:12: error: use of undeclared identifier 'nothing'.*"
                      rf"Error: the module in {folder} does not compile\n")
    home.fails("publish", "x", "-p", BANK, env={"LIGHTCONE_SDK": folder}, says="LIGHTCONE_SDK")
    home.fails("publish", "x", "-p", BANK, env={"PATH": folder}, says="clang-19")
    done = home.run("publish", "theirs", "-p", BANK, "-s", "127.0.0.2:1", server=False, stdin="n\n")
    equal((done.code, done.err), (1, "Error: Publish aborted by user.\n"))
    assert "You are about to publish to a non-local server: http://127.0.0.2:1\n" in done.out


@test
def publish_over_another_owner(home):
    home.ok("publish", "mine", "-p", BANK)
    other = home.other()
    other.ok("login")
    other.fails("publish", "mine", "-p", BANK, says="is not authorized to perform action")
    other.fails("publish", "mine", "-p", BANK, "-c", "-y", says="is not authorized to perform action")


@test
def publish_with_deletion(home):
    home.ok("publish", "cleared", "-p", BANK)
    home.ok("call", "cleared", "seed", "3", "1")
    done = home.run("publish", "cleared", "-p", BANK, "-c", stdin="n\n")
    equal((done.code, done.err), (1, "Error: Aborted.\n"))
    assert "This will DESTROY the current cleared module, and ALL corresponding data.\n" \
           "Are you sure you want to proceed? [deleting cleared] [y/N]" in done.out, done.out
    equal(len(home.ok("sql", "cleared", "SELECT id FROM accounts").splitlines()), 5)
    home.ok("publish", "cleared", "-p", BANK, "--delete-data=always", stdin="y\n")
    equal(len(home.ok("sql", "cleared", "SELECT id FROM accounts").splitlines()), 2)


@test
def publish_finds_the_sdk_when_installed(home):
    prefix = tempfile.mkdtemp(dir=home.server.data)
    for source, target in ((BINARY, "bin/lightcone"), ("include/lightcone", "include/lightcone"),
                           ("sdk", "share/lightcone/sdk")):
        target = os.path.join(prefix, target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        source = os.path.join(ROOT, source)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
    run = [os.path.join(prefix, "bin/lightcone"), "publish", "installed", "-p", os.path.join(ROOT, BANK), "-s",
           home.server.url]
    done = subprocess.run(run, capture_output=True, text=True, env=home.env, cwd="/", timeout=60)
    equal(done.returncode, 0, done.stderr)
    os.unlink(os.path.join(prefix, "include/lightcone/module.h"))
    done = subprocess.run(run, capture_output=True, text=True, env=home.env, cwd="/", timeout=60)
    equal(done.returncode, 1)
    assert done.stderr.startswith("Error: cannot find include/lightcone/module.h"), done.stderr
    done = subprocess.run(run, capture_output=True, text=True, cwd="/", timeout=60,
                          env={**home.env, "LIGHTCONE_SDK": ROOT})
    equal(done.returncode, 0, done.stderr)


# ------------------------------------------------------------------- call and sql

@test
def calls(home):
    home.ok("publish", "bank", "-p", BANK)
    equal(home.ok("call", "bank", "seed", "3", "100"), "")
    equal(home.ok("call", "bank", "transfer", "0", "1", "30"), "")
    equal(home.ok("sql", "bank", "SELECT * FROM accounts"),
          " id | balance \n----+---------\n 0  | 70      \n 1  | 130     \n 2  | 100     \n")
    home.fails("call", "bank", "transfer", "0", "1", "71",
               says="Error: Response text: account 0 has 70, which does not cover 71\n\nCaused by:\n"
                    "    HTTP status server error (530 <none>) for url (")
    signature = "The reducer has the following signature:\n\ttransfer(from: u32, to: u32, amount: i64)"
    home.fails("call", "bank", "transfer", "0", "1",
               says="3 parameters were expected, but 2 were provided.\n\n" + signature)
    home.fails("call", "bank", "transfer", "0", "1", "2", "3", says="3 parameters were expected, but 4 were provided.")
    done = home.fails("call", "bank", "transfer", "0", "x", "1", says=signature)
    assert "Response text: invalid arguments for reducer transfer: [1]: " in done.err
    home.fails("call", "bank", "transfre", says="A reducer with a similar name exists: `transfer`")
    home.fails("call", "bank", "qqqqqqqqqqqq", says="Here are some existing reducers:\n- seed\n- transfer\n")
    identity = json.loads(home.ok("list", "--json"))[-1]["identity"]
    for name in (identity, "0x" + identity, identity.upper()):
        home.ok("call", name, "seed", "1", "-5")
        home.ok("call", name, "--", "seed", "1", "-5")
    equal(home.ok("sql", "bank", "SELECT balance FROM accounts"), " balance \n---------\n -5      \n")


@test
def texts_as_arguments(home):
    home.ok("publish", "chat", "-p", CHAT)
    texts = ["plain words", "12", "null", "it's", 'half "quoted', "back\\slash", "two\nlines", "é🍷", "{}", "--dashes"]
    for text in texts:
        home.ok("call", "chat", "--", "send_message", text)
    home.ok("call", "chat", "send_message", '"quoted \\"json\\""')
    rows = json.loads(home.ok("sql", "chat", "--json", "SELECT text FROM message"))[0]["rows"]
    equal(sorted(row[0] for row in rows), sorted([*texts, 'quoted "json"']))
    home.fails("call", "chat", "send_message", "", says="Response text: messages must not be empty")
    home.fails("call", "chat", "client_connected", says="can't directly call special")


@test
def statements(home):
    home.ok("publish", "sqls", "-p", BANK)
    home.ok("call", "sqls", "seed", "2", "7")
    table = " id | balance \n----+---------\n 1  | 7       \n"
    equal(home.ok("sql", "sqls", "SELECT * FROM accounts WHERE id = 1"), table)
    equal(home.ok("sql", "sqls", "SELECT * FROM accounts", "WHERE id = 1"), table)
    equal(home.ok("sql", "sqls", "SELECT * FROM accounts WHERE id = 1", "--confirmed", "false", "--no-config"), table)
    equal(home.ok("sql", "sqls", "SELECT * FROM accounts WHERE id = 9"), " id | balance \n----+---------\n")
    for words in (["--json"], ["--format", "json"], ["--format=json"]):
        result = json.loads(home.ok("sql", "sqls", *words, "SELECT id FROM accounts WHERE id = 1"))
        equal(result[0]["rows"], [[1]])
    equal(home.ok("sql", "sqls", "UPDATE accounts SET balance = 9 WHERE id = 1"), "\n")
    home.fails("sql", "sqls", "SELEC", says="Error: sql parser error: Expected an SQL statement, found: SELEC")
    home.fails("sql", "sqls", "SELECT * FROM nosuch", says="no such table: `nosuch`")
    other = home.other()
    equal(other.ok("sql", "sqls", "SELECT balance FROM accounts WHERE id = 1", "--anonymous"),
          " balance \n---------\n 9       \n")
    assert not os.listdir(other.config)
    other.fails("sql", "sqls", "DELETE FROM accounts", "--anonymous", says="is not authorized to run SQL DML")


# -------------------------------------------------------------------- subscribe

@test
def subscriptions(home):
    home.ok("publish", "live", "-p", BANK)
    home.ok("call", "live", "seed", "1", "5")
    query = "SELECT * FROM accounts"
    row = {"id": 0, "balance": 5}
    equal(home.ok("subscribe", "live", query, "-n", "0"), "")
    first = home.ok("subscribe", "live", query, "-n", "0", "--print-initial-update")
    equal(first, '{"accounts":{"deletes":[],"inserts":[{"id":0,"balance":5}]}}\n')
    empty = home.ok("subscribe", "live", query + " WHERE id = 7", "-n", "0", "--print-initial-update", "--anonymous")
    equal(empty, '{"accounts":{"deletes":[],"inserts":[]}}\n')

    watch = home.start("subscribe", "live", query, query + " WHERE id >= 0", "-n", "2", "--print-initial-update")
    equal(json.loads(watch.stdout.readline()), {"accounts": {"deletes": [], "inserts": [row, row]}})
    home.ok("sql", "live", "INSERT INTO accounts (id, balance) VALUES (8, 1)")
    home.ok("sql", "live", "UPDATE accounts SET balance = 2 WHERE id = 8")
    out, err = watch.communicate(timeout=30)
    old, new = {"id": 8, "balance": 1}, {"id": 8, "balance": 2}
    equal([json.loads(line) for line in out.splitlines()],
          [{"accounts": {"deletes": [], "inserts": [old, old]}}, {"accounts": {"deletes": [old, old], "inserts": [new, new]}}])
    equal((watch.returncode, err), (0, ""))


@test
def subscription_ends(home):
    home.ok("publish", "ends", "-p", BANK)
    query = "SELECT * FROM accounts"
    done = home.run("subscribe", "ends", query, "-t", "1")
    equal((done.code, done.out, done.err), (0, "", "timed out after 1s\n"))
    done = home.run("subscribe", "ends", query, "-t", "1", "-n", "2")
    equal((done.code, done.err), (1, "timed out after 1s\nError: subscription timed out after 1s after receiving 0/2 updates\n"))
    home.fails("subscribe", "ends", "SELECT * FROM nosuch",
               says="encountered error in initial subscribe: no such table: `nosuch`")
    home.fails("subscribe", "ends", query, "SELECT nope", says="encountered error in initial subscribe: ")
    watch = home.start("subscribe", "ends", query, "--print-initial-update")
    watch.stdout.readline()
    watch.send_signal(signal.SIGINT)
    equal(watch.wait(10), -signal.SIGINT)
    for stream in (watch.stdout, watch.stderr):
        stream.close()


@test
def large_updates(home):
    home.ok("publish", "large", "-p", BANK)
    watch = home.start("subscribe", "large", "SELECT * FROM accounts", "-n", "1", "--print-initial-update")
    watch.stdout.readline()
    home.ok("call", "large", "seed", "50000", "1")
    out, _ = watch.communicate(timeout=60)
    equal(len(json.loads(out)["accounts"]["inserts"]), 50000)
    equal(len(home.ok("sql", "large", "SELECT * FROM accounts").splitlines()), 50002)


# ------------------------------------------------------------------------- logs

@test
def logs(home):
    home.ok("publish", "logged", "-p", BANK)
    text = home.ok("logs", "logged")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    matches(text, f"({stamp}  INFO: [^\n]*\n)+")
    assert text.endswith("  INFO: Database initialized\n"), text
    home.run("call", "logged", "transfer", "1", "1", "1")
    matches(home.ok("logs", "logged", "-n1"), f"{stamp} ERROR: transfer: account 1 cannot pay itself\n")
    equal(len(home.ok("logs", "logged", "-n", "2").splitlines()), 2)
    record = json.loads(home.ok("logs", "logged", "--format", "json", "--level", "error"))
    equal((record["level"], record["function"]), ("Error", "transfer"))
    equal(home.ok("logs", "logged", "-l", "panic"), "")
    assert "ERROR" not in home.ok("logs", "logged", "-l", "info", "--level-exact")
    other = home.other()
    other.ok("login")
    other.fails("logs", "logged", says="is not authorized to perform action")

    follower = home.start("logs", "logged", "-f", "-n", "1", "-l", "error")
    follower.stdout.readline()
    home.run("call", "logged", "transfer", "1", "2", "-7")
    matches(follower.stdout.readline(), f"{stamp} ERROR: transfer: the amount must be positive, not -7\n")
    follower.send_signal(signal.SIGINT)
    equal(follower.wait(10), -signal.SIGINT)
    for stream in (follower.stdout, follower.stderr):
        stream.close()


# --------------------------------------------------------------------- describe

@test
def descriptions(home):
    home.ok("publish", "described", "-p", BANK)
    text = home.ok("describe", "described", "--json")
    whole = json.loads(text)
    equal(text, json.dumps(whole, indent=2) + "\n")
    assert {"Typespace", "Tables", "Reducers"} <= {key for s in whole["sections"] for key in s}
    equal(home.ok("describe", "described"), text)
    reducer = json.loads(home.ok("describe", "described", "reducer", "transfer", "--json"))
    equal([p["name"]["some"] for p in reducer["params"]["elements"]], ["from", "to", "amount"])
    table = json.loads(home.ok("describe", "described", "table", "accounts", "--json"))
    equal((table["source_name"], table["primary_key"]), ("accounts", [0]))
    home.fails("describe", "described", "reducer", "nope", "--json", says="Error: no such reducer\n")
    home.fails("describe", "described", "table", "nope", "--json", says="Error: no such table\n")
    home.fails("describe", "described", "procedure", "x", "--json", says="Invalid entity_type 'procedure'.")
    fresh = home.other()
    equal(fresh.ok("describe", "described", "--json"), text)
    assert not os.listdir(fresh.config)  # nobody needs an identity to read a schema


# -------------------------------------------------------------------- databases

@test
def databases(home):
    home = home.other()
    matches(home.ok("list", "--json"), r"\[\]\n")
    matches(home.ok("list"), f"No databases found for {HEX64}.\n")
    made = json.loads(home.ok("publish", "listed", "-p", BANK, "--json"))["identity"]
    bare = json.loads(home.ok("publish", "-p", BANK, "--json"))["identity"]
    owner = json.loads(home.ok("login", "show", "--json"))["identity"]
    equal(home.ok("list"), f"Associated databases for user {owner}:\n\n"
          f" Database Name(s) | Identity{' ' * 57}\n{'-' * 18}+{'-' * 66}\n"
          f" listed           | {made} \n                  | {bare} \n")
    equal(json.loads(home.ok("list", "--json")),
          [{"names": ["listed"], "identity": made}, {"names": [], "identity": bare}])

    equal(home.ok("rename", "--to", "renamed", made), f"Name set to renamed for identity {made}.\n")
    home.fails("rename", "--to", "renamed", made, says="Cannot rename to renamed because it already is in use.")
    home.fails("rename", "--to", "No Name", made)

    question = f"Are you sure you want to delete database renamed ({made})? This action cannot be undone. [y/N]"
    equal(home.ok("delete", "renamed", stdin="n\n"), question + "Aborting\n")
    equal(home.ok("delete", "renamed"), question + "Aborting\n")
    equal(home.ok("lock", "renamed"), f"Database {made} is now locked. It cannot be deleted until unlocked.\n")
    home.fails("delete", "renamed", "-y", says="403")
    equal(home.ok("unlock", "renamed"), f"Database {made} is now unlocked.\n")
    other = home.other()
    other.ok("login")
    other.fails("delete", "renamed", "-y", says="403 Forbidden")
    other.fails("restart", "renamed", says="restart database")
    equal(home.ok("restart", "renamed"), f"Database {made} is open again.\n")
    home.fails("restart", "nosuch", says="nosuch")
    equal(home.ok("delete", "renamed", stdin=" YES \n"), question)
    equal(home.ok("delete", bare, "--yes"), "Skipping confirmation due to --yes\n")
    equal(json.loads(home.ok("list", "--json")), [])
    home.fails("sql", "renamed", "SELECT 1", says="No such database.")


@test
def subscription_of_a_deleted_database(home):
    home.ok("publish", "doomed", "-p", BANK)
    watch = home.start("subscribe", "doomed", "SELECT * FROM accounts", "--print-initial-update")
    watch.stdout.readline()
    home.ok("delete", "doomed", "-y")
    out, err = watch.communicate(timeout=20)
    equal((watch.returncode, out, err), (0, "", "disconnected by server\n"))


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    server = Server()
    home = Home(server, tempfile.mkdtemp(dir=server.data))
    try:
        for function in TESTS:
            if wanted and function.__name__ not in wanted:
                continue
            try:
                function(home)
                if not server.is_alive():
                    raise AssertionError("the server died")
                passed += 1
                print(f"ok   {function.__name__}")
            except Exception as e:
                failed += 1
                print(f"FAIL {function.__name__}: {type(e).__name__}: {e}")
    finally:
        server.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

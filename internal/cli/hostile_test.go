// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/cli/account"
	"github.com/gizmo-ebpf/gizmo/internal/cli/stdio"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// hostile is a text with which an attacker would take over a terminal, or deceive: sequences of control characters, changes of
// direction, invisible characters, and a fake line of gizmo. A file can have this name.
const hostile = "a\x1b]0;owned\x07\x1b[2J\u009b31m\x08\x7f\u202eb\u2066c\u200bd\ufeffe\U000e0041f\r\ngizmo: all is well\tg\u2028h\u0085"

// broken is hostile and not UTF-8.
const broken = hostile + "\xff\xc3(\x9b"

// isPlain describes the first character of a text that must not reach a terminal; "" if there is none.
func isPlain(text string) string {
	for i, r := range text {
		bad := r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			return fmt.Sprintf("the byte %#x at %d", text[i], i)
		case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0x061c, r == 0xad:
			bad = true
		case r >= 0xe0000 && r <= 0xe0fff, r >= 0xfe00 && r <= 0xfe0f:
			bad = true
		}
		if bad {
			return fmt.Sprintf("%U at %d", r, i)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "gizmo: all is well") {
			return "a line that is not gizmo's"
		}
	}
	return ""
}

// wantPlain checks all that a command has written, and that it has something to say.
func (r *result) wantPlain(t *testing.T, what string) {
	t.Helper()
	for stream, text := range map[string]string{"standard output": r.out, "standard error": r.err} {
		if bad := isPlain(text); bad != "" {
			t.Errorf("%s: %s has %s:\n%q", what, stream, bad, text)
		}
	}
	if r.out+r.err == "" {
		t.Errorf("%s: nothing was written", what)
	}
}

func TestIsPlainFindsWhatIsNot(t *testing.T) {
	for _, bad := range []string{"\x1b", "\r", "\x00", "\x7f", "\u009b", "\u202e", "\u200b", "\U000e0041", "\xff", "\n\xc3", "x\ngizmo: all is well"} {
		if isPlain("a "+bad+" b") == "" {
			t.Errorf("%q is taken for plain", bad)
		}
	}
	if bad := isPlain("größer\t日本語 \ufffd\n"); bad != "" {
		t.Error(bad)
	}
}

// Output stays plain, whatever the arguments and the names of files are.
func TestHostileArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, text := range []string{hostile, broken} {
		file := strings.ReplaceAll(text, "/", "")
		if err := errors.Join(os.Mkdir(file, 0o700), os.WriteFile(file+".o", []byte(text), 0o600), os.WriteFile(file+".rec", []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{text}, {"--" + text}, {"-" + text}, {"help", text}, {"help", "image", text}, {"version", text}, {"version", "--" + text},
			{"completion", text}, {"completion", "bash", text}, {"image", text}, {"image", "build"}, {"image", "build", text, text},
			{"image", "build", file}, {"image", "build", file, "-v"}, {"image", "build", "./nowhere" + text}, {"image", "build", ".", "--arch", text},
			{"image", "build", ".", "--clang", text}, {"image", "build", ".", "--" + text}, {"image", "build", ".", "--validate-metadata=" + text},
			{"run", text}, {"run", "./" + file}, {"run", file + ".o"}, {"run", file + ".o", "-v"}, {"run", text, text}, {"run", "--" + text}, {"run", "-" + text},
			{"run", "--clang", text, "./" + file}, {"run", "--filter", text, file}, {"run", "--no-such-flag", text},
			{"replay", text}, {"replay", file}, {"replay", file + ".rec"}, {"replay", file + ".rec", text}, {"replay", "--" + text, "x"},
			{"replay", "-o", text, file + ".rec"}, {"replay", "--sort-window", text, "x"}, {"replay", "--max-entries=" + text, "x"},
			{"__complete", text, ""}, {"__complete", "run", text, "--"}, {"__complete", "run", "./" + file, "--x"}, {"__complete", "replay", text},
		} {
			got := invoke(text, args...)
			got.wantPlain(t, fmt.Sprintf("%q", args))
		}
	}
}

// hostileYAML has hostile text wherever a gadget.yaml takes text.
func hostileYAML(keys string) string {
	q := strings.NewReplacer(`"`, `\"`, "\x1b", `\e`, "\x07", `\a`, "\x08", `\b`, "\x7f", `\x7F`, "\r", `\r`, "\n", `\n`, "\t", `\t`,
		"\u009b", `\x9B`, "\u0085", `\x85`, "\ufeff", `\uFEFF`).Replace(hostile)
	return strings.NewReplacer("KEYS", keys, "EVIL", `"`+q+`"`).Replace(`name: EVIL
description: EVIL
homepageURL: EVIL
EVIL: EVIL
annotations: {EVIL: EVIL}
datasources:
  calls:
    annotations: {description: EVIL, EVIL: EVIL}
    fields:
      count: {annotations: {description: EVIL, columns.alias: EVIL, columns.width: EVIL, EVIL: EVIL, json.skip: EVIL}}
      EVIL: {annotations: {description: EVIL}}
  EVIL: {fields: {EVIL: {}}}
params:
  ebpf:
    least: {description: EVIL, defaultValue: EVIL}
    EVIL: {key: EVIL}
  custom:
    KEYS: {description: EVIL, defaultValue: EVIL, possibleValues: [EVIL, b], patch: {EVIL: EVIL}}
programs: {EVIL: {attach_to: EVIL}}
paramDefaults: {EVIL: EVIL, operator.cli.output: EVIL}
`)
}

// A foreign gadget cannot harm the terminal of a user who inspects it, builds it or tries to run it.
func TestHostileMetadata(t *testing.T) {
	imageBuild(t, gadgetDir(t, "")) // skips the test without a compiler
	benign := `name: BENT
description: EVIL
datasources:
  calls: {annotations: {description: BENT}, fields: {count: {annotations: {description: BENT, columns.alias: BENT}}}}
params:
  ebpf: {least: {description: EVIL, key: minimum}}
  custom: {mode: {description: EVIL, defaultValue: BENT, possibleValues: [BENT, b]}}
`
	lines := strconv.Quote(bent + "\ngizmo: all is well\t.") // YAML knows these escapes, too
	accepted := strings.NewReplacer("EVIL", lines, "BENT", strconv.Quote(bent)).Replace(benign)
	if got := invoke("", "run", gadgetDir(t, accepted), "--help"); got.code != 0 || strings.Count(got.out, `a\u202eb\u2066c\u200bd\ufeffe\U000e0041f`) < 7 {
		t.Errorf("what is accepted is not shown: %+v", got)
	}
	for what, yaml := range map[string]string{
		"all that is accepted": accepted,
		"all there is":         hostileYAML("mode"),
		"a custom key":         hostileYAML("EVIL"),
		"a custom param's key": hostileYAML("mode") + "x: {",
		"a param's key":        "params: {ebpf: {least: {key: " + lines + "}}}",
		"no YAML":              hostile,
		"no UTF-8":             "name: \"" + broken + "\"",
		"a tag":                "name: !<!" + "\u202e> x",
	} {
		dir := gadgetDir(t, yaml)
		for _, args := range [][]string{
			{"run", dir, "--help"}, {"run", dir, "--help", "--strict"}, {"run", dir, "--minimum", hostile}, {"run", dir, "--" + hostile},
			{"run", dir, "--filter", hostile}, {"run", dir, "--filter-expr", hostile}, {"run", dir, "--fields", hostile}, {"run", dir, "--sort", hostile},
			{"run", dir, "-o", hostile}, {"run", dir, "-o", "calls:" + hostile}, {"run", dir, "--annotate", hostile}, {"run", dir, "--annotate", "calls:" + hostile + "=" + hostile},
			{"run", dir, "--timeout", hostile}, {"run", dir, "--slow-output", hostile}, {"run", dir, "--record", "/nowhere/" + hostile, "--filter", hostile},
			{"image", "build", dir}, {"image", "build", dir, "--strict", "-v"}, {"image", "build", dir, "--update-metadata", "--object", "/nowhere/" + hostile},
			{"__complete", "run", dir, "--"}, {"__complete", "run", dir, "--mode", hostile},
		} {
			got := invoke("", args...)
			got.wantPlain(t, fmt.Sprintf("%s: %q", what, args))
		}
	}
}

// A flag's name is typed into the shell by completion, so it is none that a shell would take for more than a word.
func TestHostileFlagNames(t *testing.T) {
	imageBuild(t, gadgetDir(t, "")) // skips the test without a compiler
	for _, key := range []string{"$(reboot)", "`reboot`", "a b", "a;b", "a=b", "-a", "a\x1b[2J", "a\nb", "a\u200bb", "*", "~", "a'b"} {
		dir := gadgetDir(t, "params: {custom: {"+strconv.Quote("x"+key)+": {key: "+strconv.Quote(key)+"}}}")
		got := invoke("", "run", dir, "--help")
		got.wantPlain(t, key)
		if got.code != 1 || !strings.Contains(got.err, "cannot have a flag of that name") && !strings.Contains(got.err, "cannot be a key") {
			t.Errorf("%q: %+v", key, got)
		}
		if got := invoke("", "__complete", "run", dir, "--"); strings.Contains(got.out, "--"+key+"\t") {
			t.Errorf("%q is offered: %s", key, got.out)
		}
	}
	for _, key := range []string{"minimum", "größe", "a-b_c.d:e/f@g+h,i", "2nd", "filter.x"} {
		dir := gadgetDir(t, "params: {custom: {mode: {key: "+strconv.Quote(key)+"}}}")
		if got := invoke("", "run", dir, "--help"); got.code != 0 || !strings.Contains(got.out, "--"+key+" ") {
			t.Errorf("%q: %+v", key, got)
		}
	}
	// A key that gizmo takes itself, for a data source of the gadget.
	dir := gadgetDir(t, "params: {custom: {mode: {key: filter.calls}}}")
	if got := invoke("", "run", dir, "--help"); got.code != 1 || !strings.Contains(got.err, "has the name of a flag of gizmo") {
		t.Errorf("%+v", got)
	}
}

// An object need not come from a compiler: any name in it may be anything.
func TestHostileObject(t *testing.T) {
	object := readTest(t, builtElsewhere(t, ""))
	for _, names := range [][]string{
		{"count", "inner", "nested"}, {"least"}, {"calls"}, {"trace"}, {"event"}, {"gadget_errno"}, {"gadget_comm"}, {"tracepoint/syscalls"}, {"failed"},
		{"count", "least", "calls", "trace", "event"},
	} {
		changed := object
		for _, name := range names {
			changed = strings.ReplaceAll(changed, name, (name[:1] + "\x1b\n\x9b\u202e\x07\x08" + name)[:len(name)])
		}
		path := filepath.Join(t.TempDir(), "changed.o")
		writeTest(t, path, changed)
		for _, args := range [][]string{
			{"run", path, "--help"}, {"run", path, "-v", "--fields", "nothing"}, {"run", path, "--filter", "nothing==1"}, {"run", path, "--fields", "nothing"},
			{"run", path, "--annotate", "nothing:a=b"}, {"__complete", "run", path, "--"}, {"__complete", "run", path, ""},
		} {
			got := invoke("", args...)
			got.wantPlain(t, fmt.Sprintf("%q: %q", names, args))
		}
	}
}

// oddName is a name that recordings can have: all characters are printable by Unicode's word, and two of them show nothing.
const oddName = "n\ufe0f\u3164m"

// bent is a hostile text without control characters, so that it fits into one line.
const bent = "a\u202eb\u2066c\u200bd\ufeffe\U000e0041f"

// hostileTape is a recording with hostile text in all that is text, but for names, which are odd. Its single event belongs to the
// user 7.
func hostileTape(t *testing.T) []byte {
	t.Helper()
	const name = oddName
	const size = 256
	schema := &event.Schema{Gadget: name, Name: name, Single: true, Size: 8 + size, Fields: []event.Field{
		{Name: "uid_raw", Kind: event.Uint, Types: []string{"gadget_uid", "__u32"}, Size: 4, Parent: -1},
		{Name: name, Kind: event.Uint, Types: []string{name, "__u32"}, Off: 4, Size: 4, Parent: -1},
		{Name: "text", Kind: event.String, Types: []string{"char"}, Off: 8, Size: size, Parent: -1},
	}}
	annotations, err := json.Marshal(map[string]any{"fields": map[string]any{"text": map[string]string{"columns.alias": bent, "description": bent}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := wire.NewWriter(&out, wire.Header{
		Gizmo: hostile, Gadgets: []wire.Gadget{{Name: name, Reference: hostile}},
		Machine:     wire.Machine{Arch: hostile, Kernel: hostile, Users: map[uint32]string{7: hostile}, Groups: map[uint32]string{7: hostile}},
		DataSources: []wire.DataSource{{Schema: schema, Annotations: annotations}},
	})
	if err != nil {
		t.Fatal(err)
	}
	row := append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 7), 1), make([]byte, size)...)
	copy(row[8:], hostile)
	var b event.Batch
	b.Reset(schema)
	b.Rows = append(b.Rows, row)
	b.Lost = append(b.Lost, event.Loss{CPU: 1, Cause: event.BufferFull, Count: 7})
	if err := errors.Join(w.Write(&b), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A recording of others is shown in all formats, and complained about, without harm. JSON keeps the exact text.
func TestHostileRecording(t *testing.T) {
	tape := string(hostileTape(t))
	for _, args := range [][]string{
		{"-o", "columns"}, {"-o", "jsonpretty"}, {"-o", "yaml"}, {"-o", "json"}, {"-o", "none", "-v"}, {"-o", "columns", "--fields", hostile}, {"-o", "columns", "--fields", oddName},
		{"--fields", "nothing"}, {"--filter", "nothing==1"}, {"--filter-expr", "nothing == 1"}, {"--filter-expr", hostile}, {"--sort", "nothing"},
		{"-o", hostile + ":json"}, {"-o", oddName + ":columns"}, {"-o", "json:json"}, {"--fail-on-loss"}, {"-v", "--sort", "-text"},
	} {
		got := invoke(tape, append([]string{"replay", "-"}, args...)...)
		got.wantPlain(t, fmt.Sprintf("%q", args))
	}
	for cut := range tape[:len(tape)-1] {
		if got := invoke(tape[:cut], "replay", "-", "-o", "columns"); isPlain(got.out+got.err) != "" || got.code != 1 {
			t.Fatalf("cut after %d bytes: %+v", cut, got)
		}
	}
	got := invoke(tape, "replay", "-", "-o", "json")
	var event map[string]any
	if err := json.Unmarshal([]byte(got.out), &event); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if event["text"] != hostile || event["uid"] != hostile || event[oddName] != 1.0 {
		t.Errorf("the event has not the exact text: %q", event)
	}
}

// Messages of the compiler and lines of a program.
func TestHostileSource(t *testing.T) {
	imageBuild(t, gadgetDir(t, "")) // skips the test without a compiler
	for _, source := range []string{
		"#error " + strings.ReplaceAll(broken, "\n", " "),
		"int main(void) { return \"" + strings.ReplaceAll(hostile, "\n", " ") + "\" }",
		"#include \"" + strings.ReplaceAll(hostile, "\n", " ") + "\"",
		broken,
	} {
		dir := gadgetDir(t, "")
		writeTest(t, filepath.Join(dir, "program.bpf.c"), source)
		for _, args := range [][]string{{"image", "build", dir}, {"run", dir, "-v"}} {
			got := invoke("", args...)
			got.wantPlain(t, fmt.Sprintf("%q of %q", args, source))
			if got.code != 1 {
				t.Errorf("%q: exit code %d", source, got.code)
			}
		}
	}
}

// Messages of the kernel and of libraries about foreign names, and the messages at the end of a run.
func TestHostileMessages(t *testing.T) {
	named := errors.New("open " + broken + ": no such file")
	verifier := &gadget.VerifierError{Program: broken, Reason: broken, Log: strings.Split(broken, "\n")[:1]}
	for _, err := range []error{
		named, fmt.Errorf("load: %w", named), errors.Join(named, fmt.Errorf("load: %w: %w", named, run.ErrRecord)),
		fmt.Errorf("%w: %w", run.ErrRecord, named), fmt.Errorf("gadget: %w", &run.OptionError{Option: "filter", Err: named}), verifier, errLost,
		fmt.Errorf("%w: %s", errLost, broken),
	} {
		for _, verbose := range []bool{true, false} {
			var text bytes.Buffer
			a := &app{Streams: Streams{Err: stdio.NewMessages(&text)}, verbose: verbose}
			a.setUpLogging()
			a.report(err)
			a.warn(err)
			a.warnUnless(false)(err)
			a.logger.Warn(broken, broken, broken, "error", err)
			account.Loss(a.Err, run.Loss{Source: event.SourceID{Gadget: broken, Name: broken}, Count: 1})
			account.Missed(a.Err, []gadget.ProgramStats{{Name: broken, Missed: 1}})
			if err := account.Stats(a.Err, []gadget.ProgramStats{{Name: broken, Section: broken}}); err != nil {
				t.Fatal(err)
			}
			got := result{err: text.String()}
			got.wantPlain(t, fmt.Sprintf("%q", err))
		}
	}
}

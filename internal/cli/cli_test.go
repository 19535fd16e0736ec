// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/gadget"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// result is the exit code and the output of the program.
type result struct {
	code     int
	out, err string
}

// invoke runs the program with the given standard input. Its output goes to memory.
func invoke(in string, args ...string) result {
	var out, err bytes.Buffer
	code := Main(args, Streams{In: strings.NewReader(in), Out: &out, Err: &err})
	return result{code, out.String(), err.String()}
}

// golden compares text with a file of testdata, or writes the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (-update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n got %s\nwant %s", path, got, want)
	}
}

// builtinLine names the gadgets that are in the program, which is another test's business.
var builtinLine = regexp.MustCompile(`(?m)^Built-in gadgets: .*$`)

func TestHelp(t *testing.T) {
	for _, command := range []string{"", "run", "replay", "diff", "list-containers", "image", "image build", "version"} {
		t.Run("gizmo "+command, func(t *testing.T) {
			got := invoke("", append(strings.Fields(command), "--help")...)
			if got.code != 0 || got.err != "" {
				t.Fatalf("exit code %d, standard error %q", got.code, got.err)
			}
			text := builtinLine.ReplaceAllString(got.out, "Built-in gadgets: …")
			golden(t, "help"+strings.ReplaceAll("_"+command, " ", "_")+".txt", text)
		})
	}
}

func TestHelpCommand(t *testing.T) {
	for _, command := range []string{"", "run", "image", "image build", "help"} {
		got, want := invoke("", append([]string{"help"}, strings.Fields(command)...)...), invoke("", append(strings.Fields(command), "--help")...)
		if got.code != 0 || got != want {
			t.Errorf("gizmo help %s: %+v\nwant that of --help: %+v", command, got, want)
		}
	}
	if got := invoke("", "__complete", "help", "im"); got.code != 0 || !strings.Contains(got.out, "image\t") {
		t.Errorf("completion: %+v", got)
	}
}

// Without a command, or with an incomplete one, the program prints the help, too.
func TestHelpWithoutBeingAsked(t *testing.T) {
	for _, command := range []string{"", "image", "completion"} {
		args := strings.Fields(command)
		if got, want := invoke("", args...), invoke("", append(args, "--help")...); got != want {
			t.Errorf("gizmo %s: %+v\nwant the help: %+v", command, got, want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := invoke("", "completion", shell)
		if got.code != 0 || got.err != "" || !strings.Contains(got.out, "gizmo") {
			t.Errorf("%s: exit code %d, standard error %q, %d bytes", shell, got.code, got.err, len(got.out))
		}
	}
}

func TestCompletionOfCommands(t *testing.T) {
	got := invoke("", "__complete", "re")
	if got.code != 0 || !strings.Contains(got.out, "replay\t") {
		t.Errorf("%+v", got)
	}
}

// Errors that can be found without a kernel, a gadget or a file.
func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"rnu", `unknown command "rnu"; did you mean "run"?`},
		{"xyzzy", `unknown command "xyzzy"`},
		{"help rnu", `unknown command "rnu"; did you mean "run"?`},
		{"help xyzzy", `unknown command "xyzzy"`},
		{"help image bulid", `unknown command "bulid"; did you mean "build"?`},
		{"completion bsah", `unknown command "bsah"; did you mean "bash"?`},
		{"--verbsoe", "unknown flag: --verbsoe; did you mean --verbose?"},
		{"run", "no gadget given; usage: gizmo run GADGET [flags]"},
		{"run -o json", "no gadget given"},
		{"run -o", "flag needs an argument: 'o' in -o"},
		{"run --", "no gadget given"},
		{"run --ouptut json trace_open", "unknown flag: --ouptut; did you mean --output?"},
		{"run --pid 5 trace_open", "unknown flag: --pid (the flags of a gadget come after it: gizmo run GADGET --pid 5 trace_open)"},
		{"run ./nowhere", "there is no folder ./nowhere"},
		{"run ./testdata", "./testdata is not a gadget: it has no file program.bpf.c"},
		{"run no_such_gadget", `unknown gadget "no_such_gadget"`},
		{"run no_such_gadget --help", `unknown gadget "no_such_gadget"`},
		{"image bulid", `unknown command "bulid"; did you mean "build"?`},
		{"image build", "no directory given; usage: gizmo image build DIR [flags]"},
		{"image build a b", `want only one directory, but got "b" as well`},
		{"image build ./nowhere", "there is no folder ./nowhere"},
		{"replay", "no recording given; usage: gizmo replay FILE [flags]"},
		{"replay a b", `want only one recording, but got "b" as well`},
		{"replay --filds x", "unknown flag: --filds; did you mean --fields?"},
		{"replay ./nowhere", "open ./nowhere: no such file or directory"},
		{"replay testdata", "testdata: is a directory"},
		{"replay -", "-: not a gizmo recording"},
		{"version 1", `gizmo version takes no arguments, got "1"`},
	} {
		got := invoke("neither", strings.Fields(c.args)...)
		if got.code != 1 || got.out != "" {
			t.Errorf("gizmo %s: exit code %d, standard output %q", c.args, got.code, got.out)
		}
		if !strings.HasPrefix(got.err, "gizmo: ") || strings.Count(got.err, "\n") != 1 || !strings.Contains(got.err, c.want) {
			t.Errorf("gizmo %s: standard error is not one line with %q: %s", c.args, c.want, got.err)
		}
	}
}

// brokenPipe takes no output.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestClosedPipe(t *testing.T) {
	var err bytes.Buffer
	code := Main([]string{"version"}, Streams{In: strings.NewReader(""), Out: brokenPipe{}, Err: &err})
	if code != 0 || err.Len() > 0 {
		t.Errorf("exit code %d, standard error %q", code, err.String())
	}
}

func TestReport(t *testing.T) {
	verifier := &gadget.VerifierError{Reason: "no", Log: []string{"0: first", "1: second"}}
	compile := &build.CompileError{Source: "x.c", Output: "x.c:1:2: error: oh\n  code\n", Err: errors.New("exit status 1")}
	for _, c := range []struct {
		name    string
		verbose bool
		err     error
		code    int
		want    string
	}{
		{name: "no error"},
		{name: "some error", err: errors.New("some error"), code: 1, want: "gizmo: some error\n"},
		{name: "closed pipe", err: fmt.Errorf("write: %w", syscall.EPIPE)},
		{name: "loss", err: errLost, code: 3, want: "gizmo: events were lost\n"},
		{
			name: "compiler", err: fmt.Errorf("build: %w", compile), code: 1,
			want: "x.c:1:2: error: oh\n  code\ngizmo: build: cannot compile x.c: x.c:1:2: error: oh\n",
		},
		{
			name: "verifier", err: verifier, code: 1,
			want: "gizmo: the kernel's verifier rejected the gadget: no\ngizmo: run with -v for the verifier's log (2 lines)\n",
		},
		{
			name: "verifier, verbose", verbose: true, err: verifier, code: 1,
			want: "gizmo: the kernel's verifier rejected the gadget: no\n0: first\n1: second\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs bytes.Buffer
			a := &app{Streams: Streams{Err: &errs}, verbose: c.verbose}
			if code := a.report(c.err); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if got := errs.String(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

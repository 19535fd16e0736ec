// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// names lists the corpus.
func names(t *testing.T) (list []string) {
	t.Helper()
	paths, err := filepath.Glob("corpus/*/program.bpf.c")
	if err != nil || len(paths) < 40 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		list = append(list, filepath.Base(filepath.Dir(path)))
	}
	return list
}

// compile compiles a source and returns the path of the object; its gadget.yaml is beside it.
func compile(t *testing.T, name, cc string) string {
	t.Helper()
	object, err := makeObject(t.Context(), name, cc)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func makeObject(ctx context.Context, name, cc string) (string, error) {
	dir := filepath.Join(objects, cc, name)
	object := filepath.Join(dir, name+".o")
	if _, err := os.Stat(object); err == nil {
		return object, nil
	}
	res, err := build.Dir(ctx, filepath.Join("corpus", name), &build.Options{Clang: cc, Cache: buildCache(cc)})
	if ce := (*build.CompileError)(nil); errors.As(err, &ce) {
		return "", fmt.Errorf("%s: %w\n%s", cc, err, ce.Output)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, warningsFile), []byte(res.Warnings), 0o644)
	}
	if err == nil && res.Metadata != nil {
		err = os.WriteFile(filepath.Join(dir, "gadget.yaml"), res.Metadata, 0o644)
	}
	if err == nil {
		err = os.WriteFile(object, res.Object, 0o644)
	}
	return object, err
}

// buildCache is the folder that remembers what a compiler makes of the corpus. The lab finds there what the tests on this machine
// have compiled. The cache that gizmo uses by default is too small for all compilers.
func buildCache(cc string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "" // gizmo's
	}
	return filepath.Join(cache, "gizmo-lab", "wild", cc)
}

// warningsFile is beside an object and has the compiler's warnings.
const warningsFile = "warnings"

// compilerWarnings returns the first line of each of the compiler's warnings about a source. The lines behind differ between
// the compilers.
func compilerWarnings(t *testing.T, object string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(object), warningsFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, ": warning: ") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

// compileAll makes the objects that are not there, as many at once as there are processors.
func compileAll(t *testing.T) {
	t.Helper()
	places := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for _, name := range names(t) {
		for _, cc := range compilers(t) {
			all.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				if _, err := makeObject(t.Context(), name, cc); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	all.Wait()
}

// parse parses an object, and returns the warnings about its gadget.yaml.
func parse(t *testing.T, name, object string) (*image.Image, []string) {
	t.Helper()
	img, warnings, err := tryParse(object)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return img, warnings
}

func tryParse(object string) (*image.Image, []string, error) {
	var warnings []string
	c := catalog.Catalog{Warn: func(err error) { warnings = append(warnings, strings.Split(err.Error(), "\n")...) }}
	found, err := c.Object(object)
	if err != nil {
		return nil, warnings, err
	}
	return found.Image, warnings, nil
}

// Every compiler compiles every source. What it says about them, and what gizmo says about the files gadget.yaml, is known,
// and the same whatever the compiler.
func TestCorpusBuilds(t *testing.T) {
	compileAll(t)
	var lines []string
	for _, name := range names(t) {
		var first []string
		for i, cc := range compilers(t) {
			object := compile(t, name, cc)
			_, warnings, err := tryParse(object)
			warnings = append(compilerWarnings(t, object), warnings...)
			if err != nil {
				warnings = append(warnings, "error: "+err.Error())
			}
			if (err != nil) != slices.Contains(refused, name) {
				t.Errorf("%s, %s: %v", name, cc, err)
			}
			if i == 0 {
				first = warnings
			} else if !slices.Equal(warnings, first) {
				t.Errorf("%s, %s: warnings %q, but with another compiler %q", name, cc, warnings, first)
			}
		}
		for _, w := range first {
			lines = append(lines, name+": "+w+"\n")
		}
	}
	golden(t, "warnings.golden", lines)
}

// The flags that the params of all sources make.
func TestCorpusFlags(t *testing.T) {
	var lines []string
	for _, name := range loadable(t) {
		img, _ := parse(t, name, compile(t, name, compilers(t)[0]))
		for i := range img.Params {
			p := &img.Params[i]
			lines = append(lines, fmt.Sprintf("%s: %s is --%s %s, default %q: %s\n", name, p.Var, p.Key, p.Type(), p.Default, p.Description))
		}
	}
	golden(t, "flags.golden", lines)
}

// golden compares lines with a file of testdata, or writes it.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	got, path := strings.Join(lines, ""), filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != got {
		t.Errorf("%s: %v\ngot %swant %s", path, err, got, want)
	}
}

// refused are the sources that gizmo refuses whatever the kernel. The error is in testdata/warnings.golden.
var refused = []string{"oomwatch", "two_containers"}

// loadable lists the sources that gizmo does not refuse.
func loadable(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(names(t), func(name string) bool { return slices.Contains(refused, name) })
}

// types are the kernel's, which all loads share.
var types = btf.NewCache()

// refusedWith are the sources that the verifier refuses when some versions of clang compile them, with
// any loader. Compiled by at least one version they load.
var refusedWith = []string{"params_defaults"}

// The verifier accepts every program, and the programs are attached if the kernel has their hooks.
func TestCorpusLoads(t *testing.T) {
	kerneltest.RequireRoot(t)
	unpin(t)
	missing := missingHooks(t)
	for _, name := range loadable(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded := 0
			for _, cc := range compilers(t) {
				err := load(t, name, cc)
				if err != nil && slices.Contains(refusedWith, name) && errors.As(err, new(*gadget.VerifierError)) {
					t.Logf("%s: %v", cc, err)
					continue
				}
				if want := missing[name]; want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: got error %v, want %q", cc, err, want)
				} else if want == "" && err != nil {
					t.Errorf("%s: %v", cc, explained(err))
				}
				loaded++
			}
			if loaded == 0 {
				t.Error("no compiler makes a program that the verifier takes")
			}
		})
	}
}

// If the verifier refuses the program of one compiler, gizmo names the newest other compiler whose program it accepts.
func TestCorpusOtherCompiler(t *testing.T) {
	kerneltest.RequireRoot(t)
	all := compilers(t)
	slices.Reverse(all) // the newest first
	for _, name := range refusedWith {
		var pass, refused []string
		for _, cc := range all {
			if load(t, name, cc) == nil {
				pass = append(pass, cc)
			} else {
				refused = append(refused, cc)
			}
		}
		for _, cc := range refused {
			var messages bytes.Buffer
			args := []string{"run", filepath.Join("corpus", name), "--host", "-t", "1", "--clang", cc}
			code := cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &messages, Err: &messages})
			want := append(pass, "no compiler")[0]
			if code != 1 || !strings.Contains(messages.String(), "what "+want+" makes of the same source passes: add --clang "+want) {
				t.Errorf("%s, %s: exit code %d, want %s to be named:\n%s", name, cc, code, want, &messages)
			}
		}
	}
}

func load(t *testing.T, name, cc string) error {
	t.Helper()
	img, _ := parse(t, name, compile(t, name, cc))
	options := gadget.LoadOptions{BufferSize: 64 << 10, Types: types} // nothing is read
	g, err := gadget.Load(img, &options)
	if nothing := (*image.NothingToDoError)(nil); errors.As(err, &nothing) {
		options.Params = switchedOn(t, img, nothing)
		g, err = gadget.Load(img, &options)
	}
	if err == nil {
		err = errors.Join(g.Attach(), g.Close())
	}
	return err
}

// switchedOn returns the values of params with which a gadget has something to do.
func switchedOn(t *testing.T, img *image.Image, e *image.NothingToDoError) map[string]image.Value {
	t.Helper()
	values := make(map[string]image.Value)
	for _, key := range e.Params {
		p, ok := img.Param(key)
		if !ok {
			t.Fatalf("no param %q", key)
		}
		var err error
		if values[p.Var], err = p.Parse("true"); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// explained is an error with the verifier's log.
func explained(err error) string {
	text := err.Error()
	if ve := (*gadget.VerifierError)(nil); errors.As(err, &ve) {
		text += "\n" + strings.Join(ve.Log[max(0, len(ve.Log)-30):], "\n")
	}
	return text
}

// notRun are the sources that are not run, and why. Nor are those that are refused.
var notRun = map[string]string{
	"disklat":         "no machine is sure to have a disk",
	"modwatch":        "nothing loads a module",
	"retranswatch":    "the loopback interface loses nothing",
	"sk_skb_parser":   "no socket is put into its map",
	"socket_optional": "no event is sure to come: the kernel drops packets when it likes",
	"sslpeek":         "no program that uses OpenSSL is sure to be here",
	"tcp_retransmit":  "the loopback interface loses nothing",
	"threadbirth":     "Debian's C library has no static probes",
	"ttylog":          "on the lab's kernel the number of ITER_UBUF is another than in vmlinux.h",
	"usdt_probe":      "Debian's C library has no static probes",
}

// gizmo runs each gadget, with the flags in the file args, and one event has everything that want.json lists. Where the
// kernel lacks the hook, gizmo says so.
func TestCorpusRuns(t *testing.T) {
	kerneltest.RequireRoot(t)
	unpin(t)
	startWork(t)
	missing := missingHooks(t)
	for _, name := range loadable(t) {
		text, err := os.ReadFile(filepath.Join("corpus", name, "want.json"))
		if err != nil {
			if notRun[name] == "" {
				t.Errorf("%s is not run, and nothing says why: %v", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want map[string]any
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			args := []string{"run", newest(t, name), "--host", "-t", patience}
			if text, err := os.ReadFile(filepath.Join("corpus", name, "args")); err == nil {
				args = append(args, strings.Fields(string(text))...)
			}
			if says := missing[name]; says != "" {
				wantRefusal(t, says, args...)
			} else {
				wantEvent(t, want, args...)
			}
		})
	}
}

// wantRefusal fails the test unless a command fails with a message and shows no events.
func wantRefusal(t *testing.T, says string, args ...string) {
	t.Helper()
	var out, messages bytes.Buffer
	code := cli.Main(append(args, "-o", "json"), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &messages})
	if code != 1 || out.Len() > 0 || !strings.Contains(messages.String(), says) {
		t.Errorf("exit code %d, %d bytes of events, want %q: %s", code, out.Len(), says, &messages)
	}
}

// newest returns the object of the newest compiler whose program the verifier takes.
func newest(t *testing.T, name string) string {
	t.Helper()
	all := compilers(t)
	slices.Reverse(all)
	cc := all[0]
	if slices.Contains(refusedWith, name) {
		i := slices.IndexFunc(all, func(cc string) bool { return load(t, name, cc) == nil })
		if i < 0 {
			t.Fatal("the verifier takes the program of no compiler")
		}
		cc = all[i]
	}
	return compile(t, name, cc)
}

// An annotation by the user makes the same field as one by the author, and a replay shows it, too.
func TestCorpusTrailingData(t *testing.T) {
	kerneltest.RequireRoot(t)
	startWork(t)
	object, recording := newest(t, "seed_trailing"), filepath.Join(t.TempDir(), "recording")
	want := map[string]any{"len": 3.0, "behind": "616263"}
	wantEvent(t, want, "run", object, "--host", "-t", patience, "--record", recording, "--annotate", "trailing:ebpf.rest.name=behind")
	wantEvent(t, want, "replay", recording)
	want["behind"] = "61626300" // all of it, since nothing says how much of it counts
	alone := filepath.Join(t.TempDir(), "alone.o")
	text, err := os.ReadFile(object)
	if err == nil {
		err = os.WriteFile(alone, text, 0o600) // without gadget.yaml
	}
	if err != nil {
		t.Fatal(err)
	}
	wantEvent(t, want, "run", alone, "--host", "-t", patience, "--record", recording, "--annotate", "trailing:ebpf.rest.name=behind")
	wantEvent(t, want, "replay", recording)
}

// patience is how long a run may take to show the event that a test waits for. The lab is slow. A gadget that shows its events only at
// the end of the run has another time in its file args.
const patience = "60s"

// wantEvent fails the test unless a command shows an event with these values. The command ends when it has.
func wantEvent(t *testing.T, want map[string]any, args ...string) {
	t.Helper()
	out := &reader{t: t, want: want}
	var messages bytes.Buffer
	code := cli.Main(append(args, "-o", "json"), cli.Streams{In: strings.NewReader(""), Out: out, Err: &messages})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, &messages)
	}
	if !out.found {
		t.Errorf("no event of %d is as wanted; one that comes near has %s\n%s", out.seen, out.nearest, &messages)
	}
}

// reader reads events until one has the values that are wanted. Then it takes no more, like a pipe whose reader is gone.
type reader struct {
	t    *testing.T
	want map[string]any

	line    []byte // has no end yet
	seen    int
	found   bool
	nearest string // how an event differs that is nearly as wanted
}

func (r *reader) Write(p []byte) (int, error) {
	r.line = append(r.line, p...)
	for !r.found {
		end := bytes.IndexByte(r.line, '\n')
		if end < 0 {
			return len(p), nil
		}
		r.read(string(r.line[:end]))
		r.line = r.line[end+1:]
	}
	return 0, syscall.EPIPE
}

func (r *reader) read(line string) {
	for _, e := range events(r.t, line) {
		missing := strings.Join(differences(e, r.want), ", ")
		if missing == "" {
			r.found = true
		}
		if r.seen++; r.seen == 1 || len(missing) < len(r.nearest) {
			r.nearest = missing
		}
	}
}

// events takes a line of json apart: an event, or an array of events. Members of members have dots in
// their names.
func events(t *testing.T, line string) (list []map[string]any) {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	all, ok := v.([]any)
	if !ok {
		all = []any{v}
	}
	for _, e := range all {
		flat := make(map[string]any)
		flatten(flat, "", e)
		list = append(list, flat)
	}
	return list
}

func flatten(dst map[string]any, name string, v any) {
	add := func(key string, value any) { flatten(dst, strings.TrimPrefix(name+"."+key, "."), value) }
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			add(key, value)
		}
	case []any:
		for i, value := range v {
			add(fmt.Sprint(i), value)
		}
	default:
		dst[name] = v
	}
}

// differences lists the values that are not as wanted. ">0" wants a number above 0, a text that begins with ~ one that matches the
// regular expression behind it, and null nothing at all.
func differences(got, want map[string]any) (list []string) {
	for name, value := range want {
		if got[name] != value && !matches(got[name], value) {
			list = append(list, fmt.Sprintf("%s %v instead of %v", name, got[name], value))
		}
	}
	slices.Sort(list)
	return list
}

func matches(got, want any) bool {
	pattern, _ := want.(string)
	if text, ok := got.(string); ok && strings.HasPrefix(pattern, "~") {
		return regexp.MustCompile(pattern[1:]).MatchString(text)
	}
	n, ok := got.(float64)
	return ok && pattern == ">0" && n > 0
}

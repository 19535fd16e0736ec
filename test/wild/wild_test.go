// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wild

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

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
	dir := filepath.Join(objects, cc, name)
	object := filepath.Join(dir, name+".o")
	if _, err := os.Stat(object); err == nil {
		return object
	}
	res, err := build.Dir(t.Context(), filepath.Join("corpus", name), &build.Options{Clang: cc})
	if ce := (*build.CompileError)(nil); errors.As(err, &ce) {
		t.Fatalf("%s: %v\n%s", cc, err, ce.Output)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil && res.Metadata != nil {
		err = os.WriteFile(filepath.Join(dir, "gadget.yaml"), res.Metadata, 0o644)
	}
	if err == nil {
		err = os.WriteFile(object, res.Object, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if res.Warnings != "" {
		t.Logf("%s: %s", cc, res.Warnings)
	}
	return object
}

// parse parses an object, and returns the warnings about its gadget.yaml.
func parse(t *testing.T, name, object string) (*image.Image, []string) {
	t.Helper()
	var warnings []string
	c := catalog.Catalog{Warn: func(err error) { warnings = append(warnings, strings.Split(err.Error(), "\n")...) }}
	found, err := c.Object(object)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return found.Image, warnings
}

// Every compiler compiles every source, and the warnings about the files gadget.yaml are known.
func TestBuild(t *testing.T) {
	var lines []string
	for _, name := range names(t) {
		var first []string
		for i, cc := range compilers(t) {
			_, warnings := parse(t, name, compile(t, name, cc))
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
func TestFlags(t *testing.T) {
	var lines []string
	for _, name := range names(t) {
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

// noHook matches gizmo's errors about kernels and machines without the hook of a program. The
// lab has a kernel that has all hooks except the last two.
var noHook = regexp.MustCompile(`this kernel (has no|forbids|does not)|missing privileges: the kernel refused|the kernel refuses to load it: load program: operation not permitted|no such USDT probe`)

// optional are the sections whose hooks a kernel may lack.
var optional = []string{"kprobe", "kretprobe", "ksyscall", "fentry", "fexit", "lsm", "usdt", "iter/bpf_map_elem"}

// refusedWith are the sources that the verifier refuses when some versions of clang compile them, with
// any loader. Compiled by at least one version they load.
var refusedWith = []string{"params_defaults"}

// The verifier accepts every program, and the programs are attached if the kernel has their hooks.
func TestLoad(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, name := range names(t) {
		t.Run(name, func(t *testing.T) {
			loaded := 0
			for _, cc := range compilers(t) {
				err := load(t, name, cc)
				if err != nil && slices.Contains(refusedWith, name) && errors.As(err, new(*gadget.VerifierError)) {
					t.Logf("%s: %v", cc, err)
					continue
				}
				if err != nil {
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
func TestOtherCompiler(t *testing.T) {
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
	options := gadget.LoadOptions{BufferSize: 64 << 10} // nothing is read
	g, err := gadget.Load(img, &options)
	if nothing := (*image.NothingToDoError)(nil); errors.As(err, &nothing) {
		options.Params = switchedOn(t, img, nothing)
		g, err = gadget.Load(img, &options)
	}
	if errors.Is(err, gadget.ErrNotYetSupported) {
		return loadAlone(t, compile(t, name, cc))
	}
	if err == nil {
		err = errors.Join(g.Attach(), g.Close())
	}
	if err != nil && noHook.MatchString(err.Error()) && slices.ContainsFunc(img.Programs, mayLackHook) {
		t.Logf("%s: %v", cc, err)
		return nil
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

func mayLackHook(p image.Program) bool {
	return slices.ContainsFunc(optional, func(section string) bool { return strings.HasPrefix(p.Section, section) })
}

// loadAlone shows the programs of a kind that gizmo cannot attach yet to the verifier.
func loadAlone(t *testing.T, object string) error {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		return err
	}
	if m := spec.Maps["gadget_sockets"]; m != nil {
		return nil // takes the loader's own types; see gadget/sockets.go
	}
	coll, err := ebpf.NewCollection(spec)
	if err == nil {
		coll.Close()
	}
	return err
}

// explained is an error with the verifier's log.
func explained(err error) string {
	text := err.Error()
	if ve := (*gadget.VerifierError)(nil); errors.As(err, &ve) {
		text += "\n" + strings.Join(ve.Log[max(0, len(ve.Log)-30):], "\n")
	}
	return text
}

// gizmo runs each gadget that has a want.json, and one event has everything that the file lists.
func TestRun(t *testing.T) {
	kerneltest.RequireRoot(t)
	startWork(t)
	all := compilers(t)
	newest := all[len(all)-1]
	for _, name := range names(t) {
		text, err := os.ReadFile(filepath.Join("corpus", name, "want.json"))
		if err != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want map[string]any
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			wantEvent(t, want, "run", compile(t, name, newest), "--host", "-t", "3s")
		})
	}
}

// An annotation by the user makes the same field as one by the author, and a replay shows it, too.
func TestTrailingDataThatUsersName(t *testing.T) {
	kerneltest.RequireRoot(t)
	startWork(t)
	all := compilers(t)
	object, recording := compile(t, "seed_trailing", all[len(all)-1]), filepath.Join(t.TempDir(), "recording")
	want := map[string]any{"len": 3.0, "behind": "616263"}
	wantEvent(t, want, "run", object, "--host", "-t", "2s", "--record", recording, "--annotate", "trailing:ebpf.rest.name=behind")
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
	wantEvent(t, want, "run", alone, "--host", "-t", "2s", "--record", recording, "--annotate", "trailing:ebpf.rest.name=behind")
	wantEvent(t, want, "replay", recording)
}

// wantEvent fails the test unless a command shows an event with these values.
func wantEvent(t *testing.T, want map[string]any, args ...string) {
	t.Helper()
	var out, messages bytes.Buffer
	args = append(args, "-o", "json")
	code := cli.Main(args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &messages})
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, &messages)
	}
	var near []string
	for line := range strings.Lines(out.String()) {
		for _, e := range events(t, line) {
			missing := differences(e, want)
			if len(missing) == 0 {
				return
			}
			near = append(near, strings.Join(missing, ", "))
		}
	}
	slices.SortFunc(near, func(a, b string) int { return len(a) - len(b) })
	t.Errorf("no event of %d is as wanted; one that comes near has %s\n%s", len(near), append(near, "")[0], &messages)
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
	members, ok := v.(map[string]any)
	if !ok {
		dst[name] = v
		return
	}
	for key, value := range members {
		flatten(dst, strings.TrimPrefix(name+"."+key, "."), value)
	}
}

func differences(got, want map[string]any) (list []string) {
	for name, value := range want {
		if got[name] != value {
			list = append(list, fmt.Sprintf("%s %v instead of %v", name, got[name], value))
		}
	}
	slices.Sort(list)
	return list
}

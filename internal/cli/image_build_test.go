// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

const buildProgram = `// SPDX-License-Identifier: GPL-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/buffer.h>
#include <gadget/filter.h>
#include <gadget/macros.h>
#include <gadget/types.h>

struct event {
	gadget_timestamp timestamp_raw;
	gadget_comm comm[16];
	gadget_errno error_raw;
	__u32 count;
	struct {
		__u32 inner;
	} nested;
};

const volatile bool failed = false;
GADGET_PARAM(failed);
const volatile __u32 least = 3;
GADGET_PARAM(least);

GADGET_TRACER_MAP(events, 4096);
GADGET_TRACER(calls, events, event);

SEC("tracepoint/syscalls/sys_exit_getpgid")
int trace(void *ctx)
{
	struct event *e;

	if (gadget_should_discard_data_current())
		return 0;
	e = gadget_reserve_buf(&events, sizeof(*e));
	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	gadget_submit_buf(ctx, &events, e, sizeof(*e));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
`

// gadgetDir makes a folder with the program and, unless the text is empty, a gadget.yaml.
func gadgetDir(t *testing.T, yaml string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my_gadget")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeTest(t, filepath.Join(dir, "program.bpf.c"), buildProgram)
	if yaml != "" {
		writeTest(t, filepath.Join(dir, "gadget.yaml"), yaml)
	}
	return dir
}

func writeTest(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readTest(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// imageBuild runs image build and removes the folder's path from the output.
func imageBuild(t *testing.T, dir string, flags ...string) result {
	t.Helper()
	got := invoke("", append([]string{"image", "build", dir}, flags...)...)
	if strings.Contains(got.err, build.ErrNoClang.Error()) && os.Getenv("CI") != "true" {
		t.Skip(got.err)
	}
	got.out = strings.ReplaceAll(got.out, dir, "DIR")
	got.err = strings.ReplaceAll(got.err, dir, "DIR")
	return got
}

func TestUpdateMetadata(t *testing.T) {
	dir := gadgetDir(t, "")
	file := filepath.Join(dir, "gadget.yaml")
	got := imageBuild(t, dir, "--update-metadata")
	if got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "DIR/gadget.yaml: entries added: 12; ") {
		t.Fatalf("%+v", got)
	}
	text := readTest(t, file)
	golden(t, "image_update.yaml", text)

	got = imageBuild(t, dir, "--update-metadata")
	if got.code != 0 || !strings.HasPrefix(got.out, "DIR/gadget.yaml: nothing to add\nmy_gadget: ") || readTest(t, file) != text {
		t.Errorf("a second time: %+v\n%s", got, readTest(t, file))
	}
	if got := imageBuild(t, dir); got.code != 0 || got.err != "" {
		t.Errorf("what was written is not valid: %+v", got)
	}
}

// An existing file is extended: its text, the link to it and its permissions stay.
func TestUpdateMetadataExtends(t *testing.T) {
	dir := gadgetDir(t, "")
	real := filepath.Join(dir, "real.yaml")
	link := filepath.Join(dir, "gadget.yaml")
	writeTest(t, real, "# mine\nname: other # as we say\ndatasources:\n  calls:\n    fields:\n      error_raw:\n        annotations: {formatters.errno.target: reason}\n")
	if err := errors.Join(os.Chmod(real, 0o600), os.Symlink("real.yaml", link)); err != nil {
		t.Fatal(err)
	}
	got := imageBuild(t, dir, "--update-metadata")
	text := readTest(t, real)
	if got.code != 0 || !strings.Contains(got.out, "\nother: ") || !strings.HasPrefix(text, "# mine\nname: other # as we say\n") ||
		!strings.Contains(text, "      reason:\n") || strings.Contains(text, "      error:\n") {
		t.Errorf("%+v\n%s", got, text)
	}
	if st, err := os.Stat(real); err != nil || st.Mode() != 0o600 {
		t.Errorf("got %v, %v", st.Mode(), err)
	}
	if target, err := os.Readlink(link); err != nil || target != "real.yaml" {
		t.Errorf("the link: %q, %v", target, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestUpdateMetadataRefuses(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"not YAML", "name: a: b\n", "gadget.yaml:1:1: not valid YAML"},
		{"unknown key", "nmae: x\n", `gadget.yaml:1:1: unknown key "nmae"; did you mean "name"?`},
		{"bad value", "params: {ebpf: {least: {defaultValue: many}}}\n", `params.ebpf.least: defaultValue: `},
	} {
		dir := gadgetDir(t, c.yaml)
		got := imageBuild(t, dir, "--update-metadata")
		if got.code != 1 || got.out != "" || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if text := readTest(t, filepath.Join(dir, "gadget.yaml")); text != c.yaml {
			t.Errorf("%s: the file was changed:\n%s", c.name, text)
		}
	}
}

func TestValidateMetadata(t *testing.T) {
	const yaml = "name: x\ndatasources:\n  calls:\n    fields:\n      cuont:\n"
	const want = `gadget.yaml:5:7: unknown field "cuont"; did you mean "count"?`
	dir := gadgetDir(t, yaml)
	if got := imageBuild(t, dir); got.code != 0 || got.err != "gizmo: warning: ignored: "+want+"\n" {
		t.Errorf("not strict: %+v", got)
	}
	for _, flags := range [][]string{{"--strict"}, {"--strict", "--validate-metadata"}, {"--strict", "--validate-metadata=true"}} {
		if got := imageBuild(t, dir, flags...); got.code != 1 || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("%v: %+v", flags, got)
		}
	}
	got := imageBuild(t, dir, "--validate-metadata=false")
	if got.code != 0 || got.err != "gizmo: gadget.yaml was not checked against the object\n" || !strings.HasPrefix(got.out, "x: ") {
		t.Errorf("without: %+v", got)
	}
	// The check sees the file as it is after the update.
	got = imageBuild(t, dir, "--update-metadata", "--strict")
	if got.code != 1 || !strings.Contains(got.err, `unknown field "cuont"`) || !strings.Contains(readTest(t, filepath.Join(dir, "gadget.yaml")), "count:") {
		t.Errorf("after an update: %+v", got)
	}
}

// An event with two fields that identify its container is an error, also if one is a member of a struct, on build and on run,
// whatever is checked.
func TestTwoContainers(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{"gadget_mntns_id mntns_id; struct gadget_process proc;", `the fields "mntns_id", "proc.mntns_id" have the type gadget_mntns_id`},
		{"gadget_netns_id a; struct { gadget_netns_id b; } deep;", `the fields "a", "deep.b" have the type gadget_netns_id`},
	} {
		dir := gadgetDir(t, "")
		source := strings.Replace(buildProgram, "__u32 count;", "__u32 count; "+c.fields, 1)
		if err := os.WriteFile(filepath.Join(dir, "program.bpf.c"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		want := `data source "calls": ` + c.want + ", but an event belongs to one container: keep the type for one of them "
		object := filepath.Join(t.TempDir(), "x.o")
		for _, flags := range [][]string{{"--object", object}, {"--strict"}, {"--validate-metadata=false"}} {
			if got := imageBuild(t, dir, flags...); got.code != 1 || got.out != "" || !strings.Contains(got.err, want) {
				t.Errorf("build %v: %+v, want %s", flags, got, want)
			}
		}
		if _, err := os.Stat(object); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("an object was written: %v", err)
		}
		if got := invoke("", "run", dir, "--host", "-t", "1"); got.code != 1 || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("run: %+v, want %s", got, want)
		}
	}
}

// The patches of custom params are checked, too.
func TestValidateCustomParams(t *testing.T) {
	const yaml = "name: x\nparams:\n  custom:\n    mode:\n      defaultValue: a\n      values:\n        a: {patch: %A}\n        b: {patch: %B}\n"
	const fine = "{description: fine}"
	for _, c := range []struct{ name, a, b, want string }{
		{"fine", fine, "{datasources: {calls: {fields: {count: {annotations: {columns.hex: true}}}}}}", ""},
		{"the default's patch", "{nmae: x}", fine, `gadget.yaml:7:21: custom param "mode": unknown key "nmae"`},
		{"another value's patch", fine, "{datasources: {calls: {fields: {cuont: }}}}",
			`with mode=b: gadget x: gadget.yaml:8:52: unknown field "cuont"; did you mean "count"?`},
		{"a param's default", fine, "{params: {ebpf: {least: {defaultValue: many}}}}", "with mode=b: gadget.yaml: params.ebpf.least: defaultValue: "},
	} {
		got := imageBuild(t, gadgetDir(t, strings.NewReplacer("%A", c.a, "%B", c.b).Replace(yaml)), "--strict")
		if (got.code == 0) != (c.want == "") || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v\nwant %s", c.name, got, c.want)
		}
	}
}

func TestEachCustomValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, custom, want string }{
		{"none", "", ""},
		{"any value", "{a: {patch: {description: '{{.Value}}'}}}", "[]"},
		{"values", "{a: {patch: {description: '{{.Value}}'}, values: {x: , y: }}}", "[] [x] [y]"},
		{"mandatory", "{a: {isMandatory: true, patch: {description: '{{.Value}}'}, values: {x: , y: }}}", "[x] [x] [y]"},
		{"mandatory beside another", "{a: {isMandatory: true, values: {x: }}, b: {patch: {description: '{{call .getParamValue \"custom.a\"}}{{.Value}}'}, values: {y: }}}", "[x] [x] [xy]"},
		{"known to the user only", "{a: {isMandatory: true, patch: {description: '{{.Value}}'}}, b: {values: {x: }}}", ""},
	} {
		m, err := metadata.Parse("gadget.yaml", []byte("params: {custom: "+c.custom+"}"))
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		err = eachCustomValue(m, func(values map[string]string) error {
			patched, err := m.WithCustom(values)
			if err == nil {
				seen = append(seen, "["+patched.Description+"]")
			}
			return err
		})
		if got := strings.Join(seen, " "); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

// The object replaces an existing file, except devices and pipes, and not through links of others.
func TestWriteObject(t *testing.T) {
	dir := gadgetDir(t, "")
	out := t.TempDir()
	old, link := filepath.Join(out, "old.o"), filepath.Join(out, "link.o")
	writeTest(t, old, "old")
	if err := errors.Join(os.Chmod(old, 0o640), os.Symlink("old.o", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(out, "new.o"), link, "/dev/null"} {
		if got := imageBuild(t, dir, "--object", path); got.code != 0 || got.err != "" {
			t.Fatalf("%s: %+v", path, got)
		}
	}
	for name, mode := range map[string]os.FileMode{"new.o": 0o644, "old.o": 0o640} {
		st, err := os.Stat(filepath.Join(out, name))
		if err != nil || st.Mode() != mode || !strings.HasPrefix(readTest(t, filepath.Join(out, name)), "\x7fELF") {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	if files, err := os.ReadDir(out); err != nil || len(files) != 3 {
		t.Errorf("the folder has %v, %v", files, err)
	}
	if got := imageBuild(t, dir, "--object", out); got.code != 1 || !strings.Contains(got.err, "gizmo: --object: open "+out) {
		t.Errorf("a folder in its place: %+v", got)
	}
}

// Root writes nothing through the links of another user.
func TestLinksOfOthers(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := gadgetDir(t, "")
	target := filepath.Join(t.TempDir(), "target")
	writeTest(t, target, "precious")
	yaml, object := filepath.Join(dir, "gadget.yaml"), filepath.Join(dir, "out.o")
	for _, link := range []string{yaml, object} {
		if err := errors.Join(os.Symlink(target+"-new", link), os.Lchown(link, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
	}
	got := imageBuild(t, dir, "--update-metadata")
	if got.code != 1 || !strings.Contains(got.err, "cannot update the metadata: the link DIR/gadget.yaml belongs to the user 65534") {
		t.Errorf("%+v", got)
	}
	got = imageBuild(t, dir, "--object", object)
	if got.code != 1 || !strings.Contains(got.err, "--object: the link DIR/out.o belongs to the user 65534") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Lstat(target + "-new"); err == nil {
		t.Error("root made the file that the links point to")
	}
}

// An object is for one architecture: the user's choice, or else this machine's.
func TestBuildForAnArchitecture(t *testing.T) {
	dir := gadgetDir(t, "")
	writeTest(t, filepath.Join(dir, "program.bpf.c"), buildProgram+`
#ifdef __TARGET_ARCH_arm64
const volatile __u32 only_on_arm64 = 0;
GADGET_PARAM(only_on_arm64);
#endif
`)
	params := map[string]string{"amd64": "7 params\n", "arm64": "8 params\n"}
	for _, arch := range []string{"amd64", "arm64"} {
		if got := imageBuild(t, dir, "--arch", arch); got.code != 0 || got.err != "" || !strings.HasSuffix(got.out, ", "+params[arch]) {
			t.Errorf("%s: %+v", arch, got)
		}
	}
	if got := imageBuild(t, dir); got.code != 0 || !strings.HasSuffix(got.out, ", "+params[runtime.GOARCH]) {
		t.Errorf("without the flag: %+v", got)
	}
}

func TestBuildForAnUnknownArchitecture(t *testing.T) {
	dir := gadgetDir(t, "")
	for _, arch := range []string{"x86_64", "amd64,arm64", "ARM64"} {
		object := filepath.Join(t.TempDir(), "object")
		got := imageBuild(t, dir, "--arch", arch, "--object", object, "--update-metadata")
		want := "gizmo: gadgets cannot be built for the architecture \"" + arch + "\": use one of amd64, arm64\n"
		if got.code != 1 || got.out != "" || got.err != want {
			t.Errorf("%s: %+v", arch, got)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("%s: left behind: %v, %v", arch, files, err)
		}
		if _, err := os.Stat(object); err == nil {
			t.Errorf("%s: there is an object", arch)
		}
	}
}

// A gadget is described as people and as scripts read it.
func TestImageInspect(t *testing.T) {
	dir := gadgetDir(t, "name: counted\ndescription: Counts calls.\n")
	text := invoke("", "image", "inspect", dir)
	for _, want := range []string{"Name:", "counted", "Data source \"", "Programs:", "Maps:", " instructions\n"} {
		if text.code != 0 || !strings.Contains(text.out, want) {
			t.Errorf("no %q in %+v", want, text)
		}
	}
	var d struct {
		Name        string
		DataSources []struct{ Fields []struct{ Name string } }
		Programs    []struct{ Section string }
		Maps        []struct{ Name string }
	}
	asJSON := invoke("", "image", "inspect", dir, "-o", "json")
	if err := json.Unmarshal([]byte(asJSON.out), &d); err != nil || d.Name != "counted" || len(d.DataSources) != 1 || len(d.Programs) != 1 || len(d.Maps) == 0 {
		t.Errorf("%v: %+v of %s", err, d, asJSON.out)
	}
	if got := invoke("", "image", "inspect", dir, "-o", "xml"); got.code != 1 || !strings.Contains(got.err, `--output: want text, json, jsonpretty, yaml or mermaid, got "xml"`) {
		t.Errorf("%+v", got)
	}
}

// What images are made of can be had as files, and flags of scripts for other builders do no harm.
func TestBuildOutput(t *testing.T) {
	dir, output := gadgetDir(t, ""), t.TempDir()
	got := imageBuild(t, dir, "-o", output, "--builder-image", "registry.example/builder", "--builder-image-pull", "never")
	if got.code != 0 || !strings.HasPrefix(got.out, "my_gadget: ") || got.err != "gizmo: warning: --builder-image has no effect: gizmo builds with the compiler of this machine\n" {
		t.Errorf("%+v", got)
	}
	files, err := os.ReadDir(output)
	if err != nil || len(files) != 2 || files[0].Name() != "amd64.bpf.o" || files[1].Name() != "arm64.bpf.o" {
		t.Errorf("files %v, %v", files, err)
	}
	file := filepath.Join(output, "amd64.bpf.o")
	for want, flags := range map[string][]string{
		"gizmo: --output: stat /nonexistent: no such file or directory\n":           {"-o", "/nonexistent"},
		"gizmo: --output: " + file + " is no folder\n":                              {"-o", file},
		"gizmo: --measure needs --tag\n":                                            {"--measure", "-o", output},
		"gizmo: --btfgen needs --btfhub-archive, and --tag or --output\n":           {"--btfgen"},
		"gizmo: --btfhub-archive needs --btfgen\n":                                  {"--btfhub-archive", output},
		"gizmo: --btfgen: no types of kernels for amd64 in " + output + ": want fi": {"-o", output, "--btfgen", "--btfhub-archive", output},
	} {
		if got := imageBuild(t, dir, flags...); got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, want) {
			t.Errorf("%q: %+v, want %q", flags, got, want)
		}
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

// newerYAML is of a version of gizmo that knows more.
const newerYAML = `name: newer
licence: free
datasources:
  calls:
    annotations: {shape: round, description: Calls}
    fields:
      count: {annotations: {columns.glow: "true", columns.width: 9}}
      weight: {annotations: {columns.hidden: true}}
  others: {}
params:
  ebpf: {most: {key: maximum}, least: {key: minimum}}
  custom: {mode: {patch: {colour: red, description: 'in {{.Value}}'}}}
programs: {untrace: {attach_to: nothing}}
`

// newerWarnings are the warnings about it before the values of custom params are known, without their common
// beginning.
var newerWarnings = []string{
	`gadget.yaml:2:1: unknown key "licence"`,
	`gadget.yaml:5:19: unknown annotation "shape"`,
	`gadget.yaml:7:29: unknown annotation "columns.glow"`,
	`gadget.yaml:8:7: unknown field "weight"`,
	`gadget.yaml:9:3: unknown data source "others"`,
	`gadget.yaml:11:10: unknown param "most"`,
	`gadget.yaml:13:12: unknown program "untrace"; did you mean "trace"?`,
}

func warnings(list []string) string {
	text := ""
	for _, w := range list {
		text += "gizmo: warning: ignored: " + w + "\n"
	}
	return text
}

// builtElsewhere returns the path of an object with the text as the gadget.yaml beside it.
func builtElsewhere(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "elsewhere.o")
	if got := imageBuild(t, gadgetDir(t, ""), "--object", path); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if yaml != "" {
		writeTest(t, filepath.Join(filepath.Dir(path), "gadget.yaml"), yaml)
	}
	return path
}

// Names in a gadget.yaml that this version does not know are ignored, with a warning for each. In a strict
// run they are errors.
func TestNewerMetadata(t *testing.T) {
	got := invoke("", "run", builtElsewhere(t, newerYAML), "--help")
	if got.code != 0 || got.err != warnings(newerWarnings) || !strings.HasPrefix(got.out, "newer: ") || !strings.Contains(got.out, "--minimum") || strings.Contains(got.out, "--maximum") {
		t.Errorf("the object: %+v", got)
	}
	dir := gadgetDir(t, newerYAML)
	if got := invoke("", "run", dir, "--help"); got.code != 0 || got.err != warnings(newerWarnings) {
		t.Errorf("the folder: %+v", got)
	}
	patch := `gadget.yaml:12:27: custom param "mode": unknown key "colour"`
	if got := imageBuild(t, dir); got.code != 0 || got.err != warnings(append(slices.Clone(newerWarnings), patch)) {
		t.Errorf("building the folder: %+v", got)
	}
	for _, command := range []result{
		invoke("", "run", dir, "--help", "--strict"), invoke("", "run", dir, "--strict"), invoke("", "run", "--strict", builtElsewhere(t, newerYAML)),
		imageBuild(t, dir, "--strict"), imageBuild(t, dir, "--strict", "--validate-metadata=false"),
	} {
		if command.code != 1 || command.out != "" || !strings.Contains(command.err, `unknown key "licence"`) || strings.Contains(command.err, "warning") {
			t.Errorf("the folder: %+v", command)
		}
	}
}

// The same applies to changes of the metadata by custom params.
func TestNewerPatches(t *testing.T) {
	var out strings.Builder
	a := &app{Streams: Streams{Err: &out}}
	found, err := a.catalog(a.warnUnless(false)).Find(t.Context(), builtElsewhere(t, newerYAML))
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	fs := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f, err := flags.RegisterCustom(fs, found.Image)
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Set("mode", "blue"); err != nil {
		t.Fatal(err)
	}
	patched, err := f.Apply(found)
	if err != nil || patched.Image.Metadata.Description != "in blue" || patched.Image.Metadata.Source("calls").Fields["count"]["columns.width"] != "9" {
		t.Errorf("got %+v, %v", patched, err)
	}
	if want := warnings([]string{`gadget.yaml:12:27: custom param "mode": unknown key "colour"`}); out.String() != want {
		t.Errorf("got %s\nwant %s", out.String(), want)
	}
	if _, err := new(catalog.Catalog).Find(t.Context(), builtElsewhere(t, newerYAML)); err == nil || !strings.Contains(err.Error(), "unknown key") {
		t.Errorf("without anyone to warn: %v", err)
	}
}

// An object needs no gadget.yaml. An error says which of the two files is wrong.
func TestObjects(t *testing.T) {
	plain := builtElsewhere(t, "")
	t.Chdir(filepath.Dir(plain))
	for _, name := range []string{plain, "./elsewhere.o", "elsewhere.o"} {
		if got := invoke("", "run", name, "--help"); got.code != 0 || got.err != "" || !strings.HasPrefix(got.out, "elsewhere: ") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if err := os.Truncate(plain, 1000); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, want string }{
		{plain, "gizmo: gadget elsewhere: gadget object: not a readable BPF object"},
		{builtElsewhere(t, "name: a: b\n"), "gizmo: gadget elsewhere: gadget.yaml:1:1: not valid YAML"},
		{builtElsewhere(t, "nmae: x\nname: [x]\n"), `gizmo: gadget elsewhere: gadget.yaml:1:1: unknown key "nmae"`}, // and worse
		{builtElsewhere(t, "params: {ebpf: {least: {defaultValue: many}}}"), "gizmo: gadget elsewhere: gadget.yaml: params.ebpf.least: defaultValue: "},
	} {
		got := invoke("", "run", c.path, "--help")
		if got.code != 1 || got.out != "" || !strings.HasPrefix(got.err, c.want) {
			t.Errorf("%+v\nwant %s", got, c.want)
		}
	}
}

// A gadget.yaml beside an object is read only if it is a regular file, and not too large.
func TestStrangeMetadataBesideObject(t *testing.T) {
	path := builtElsewhere(t, "")
	yaml := filepath.Join(filepath.Dir(path), "gadget.yaml")
	for _, c := range []struct {
		want string
		make func() error
	}{
		{"gadget.yaml is not a regular file", func() error { return syscall.Mkfifo(yaml, 0o600) }},
		{"gadget.yaml has 1048577 bytes; gadget.yaml may have at most 1048576", func() error {
			return errors.Join(os.WriteFile(yaml, nil, 0o600), os.Truncate(yaml, build.MaxMetadata+1))
		}},
	} {
		if err := c.make(); err != nil {
			t.Fatal(err)
		}
		if got := invoke("", "run", path); got.code != 1 || got.out != "" || !strings.Contains(got.err, c.want) {
			t.Errorf("%+v, want %q", got, c.want)
		}
		if err := os.Remove(yaml); err != nil {
			t.Fatal(err)
		}
	}
}

// Metadata as existing gadgets have it: keys in other case, and names of features that gizmo does not have yet. Each
// feature is reported once, however many names belong to it.
const wildYAML = `name: wild
dataSources:
  Calls:
    annotations: {metrics.collect: true, views.modes.table: true, profiles.name: calls}
    fields:
      COUNT: {annotations: {columns.minWidth: 9, metrics.type: counter, metrics.name: calls}}
Params:
  wasm: {filter: {key: filter, defaultvalue: x}}
gadgetParams: {a: b}
paramDefaults: {operator.cli.timeout: "3", operator.otel-metrics.otel-metrics-listen: "true"}
annotations: {enable-containers-datasource: true}
`

func TestWildMetadata(t *testing.T) {
	want := ""
	for _, line := range []string{
		`gadget.yaml:4:61: "views.modes.table": gizmo does not support views yet`,
		`gadget.yaml:8:10: "filter": gizmo does not support Wasm modules yet`,
	} {
		want += "gizmo: warning: " + line + ", so this setting has no effect\n"
	}
	const noFlag = "paramDefaults: \"operator.otel-metrics.otel-metrics-listen\": a gadget cannot set --otel-metrics-listen, only the user can\n"
	want += "gizmo: warning: " + noFlag
	dir := gadgetDir(t, wildYAML)
	if got := imageBuild(t, dir); got.code != 0 || got.err != want {
		t.Errorf("%+v\nwant %s", got, want)
	}
	if got := imageBuild(t, dir, "--strict"); got.code != 1 || got.err != "gizmo: "+noFlag {
		t.Errorf("strict: %+v", got)
	}
	got := invoke("", "run", dir, "--help")
	if got.code != 0 || got.err != want || !strings.HasPrefix(got.out, "wild: ") || !strings.Contains(got.out, "0: when interrupted (default 3)") {
		t.Errorf("run: %+v\nwant %s", got, want)
	}
}

// Each flag of run is one that a gadget may set, or not: whoever adds a flag decides.
func TestFlagsThatGadgetsSet(t *testing.T) {
	t.Parallel()
	free := strings.Fields(`output fields policy-format lines otel-metrics-print-interval filter filter-expr sort sort-window drain-timeout max-entries annotate timeout
		fail-on-loss strict host containername k8s-namespace k8s-podname k8s-containername k8s-selector runtime-containername runtime-containerid
		runtime-containerimagename iface unwind buffer-size latency shards slow-output stats socket-enricher-fields otel-metrics-name metrics-max-series metrics-expiry`)
	a := &app{}
	a.runCommand().Flags().VisitAll(func(f *pflag.Flag) {
		fs := pflag.NewFlagSet("one", pflag.ContinueOnError)
		fs.AddFlag(f)
		err := flags.SetDefaults(fs, map[string]string{f.Name: f.DefValue}, nil)
		refused := err != nil && strings.Contains(err.Error(), "a gadget cannot set --"+f.Name)
		if refused == slices.Contains(free, f.Name) {
			t.Errorf("--%s: %v", f.Name, err)
		}
	})
}

// tenUnknown names ten things that do not exist.
const tenUnknown = `name: ten
licence: free
datasources:
  calls:
    annotations: {shape: round, cli.default-output-mode: jsno}
    fields:
      count: {annotations: {columns.glow: "true", template: pidd}}
      weight: {}
  others: {}
params:
  ebpf: {most: {key: maximum}}
programs: {untrace: {attach_to: nothing}}
paramDefaults: {operator.cli.timeuot: "3"}
`

// Each has a line, on build and on run.
func TestTenUnknownNames(t *testing.T) {
	dir := gadgetDir(t, tenUnknown)
	want := warnings([]string{
		`gadget.yaml:2:1: unknown key "licence"`,
		`gadget.yaml:5:19: unknown annotation "shape"`,
		`gadget.yaml:7:29: unknown annotation "columns.glow"`,
		`gadget.yaml:7:61: template: unknown template "pidd"; did you mean "pid"?`,
		`gadget.yaml:5:58: unknown output mode "jsno"; did you mean "json"?`,
		`gadget.yaml:8:7: unknown field "weight"`,
		`gadget.yaml:9:3: unknown data source "others"`,
		`gadget.yaml:11:10: unknown param "most"`,
		`gadget.yaml:12:12: unknown program "untrace"; did you mean "trace"?`,
	}) + "gizmo: warning: paramDefaults: gizmo has no flag for \"operator.cli.timeuot\"; did you mean \"timeout\"?\n"
	for _, got := range []result{imageBuild(t, dir), invoke("", "run", dir, "--help")} {
		if got.code != 0 || got.err != want || strings.Count(got.err, "\n") != 10 {
			t.Errorf("got %+v\nwant %s", got, want)
		}
	}
}

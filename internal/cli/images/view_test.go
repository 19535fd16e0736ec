// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
)

// module is a Wasm module that imports ig.getParam and exports gadgetInit.
const module = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0b\x02\x60\x02\x7e\x7f\x01\x7f\x60\x00\x01\x7f" + // types: (i64, i32) -> i32, () -> i32
	"\x02\x0f\x01\x02ig\x08getParam\x00\x00" + // imports: of the first type
	"\x03\x02\x01\x01" + // functions: one of the second type
	"\x07\x0e\x01\x0agadgetInit\x00\x01" + // exports: it
	"\x0a\x06\x01\x04\x00\x41\x00\x0b" // code: i32.const 0

func described(t *testing.T) *Description {
	t.Helper()
	d := &Description{
		Name:     "x",
		Programs: []describedProgram{{Name: "a", Section: "raw_tp/a", Instructions: 1}, {Name: "b", Section: "raw_tp/b", Instructions: 2}},
		Maps:     []image.Map{{Name: "m", Type: "Hash"}},
		Params:   []describedParam{{Key: "k", Default: "18446744073709551615"}},
		Wasm:     describeModule(t.Context(), []byte(module)),
	}
	d.OfImage("x", &oci.Image{
		Gadget:   oci.Gadget{Metadata: []byte("name: x\n")},
		Manifest: []byte(`{"schemaVersion":2}`), Config: ocispec.Descriptor{Digest: digest.FromString("")},
		Annotations: map[string]string{ocispec.AnnotationCreated: "2023-11-14T22:13:20Z"},
	}, Seal{Name: reference.Name{Domain: "r.example", Repository: "t/x", Tag: "v1"}})
	return d
}

func view(t *testing.T, d *Description, args ...string) (string, error) {
	t.Helper()
	fs := pflag.NewFlagSet("inspect", pflag.ContinueOnError)
	var v View
	v.Register(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := v.Write(&out, d)
	return out.String(), err
}

func TestView(t *testing.T) {
	t.Parallel()
	d := described(t)
	for args, want := range map[string]string{
		"--extra-info oci.manifest -o json":                          `{"schemaVersion":2}` + "\n",
		"--extra-info oci.manifest":                                  "{\n  \"schemaVersion\": 2\n}\n",
		"--extra-info oci.metadata":                                  "name: x\n",
		"--extra-info oci.repository":                                "r.example/t/x\n",
		"--extra-info oci.tag":                                       "v1\n",
		"--extra-info oci.tag -o json":                               "\"v1\"\n",
		"--extra-info oci.created":                                   "2023-11-14T22:13:20Z\n",
		"--extra-info oci.digest":                                    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
		"--extra-info ebpf.sections -o json":                         `["raw_tp/a","raw_tp/b"]` + "\n",
		"--extra-info ebpf.sections -o yaml":                         "- raw_tp/a\n- raw_tp/b\n",
		"--extra-info wasm.upcalls -o json":                          `[{"Module":"ig","Name":"getParam","Type":"(i64, i32) -> i32"}]` + "\n",
		"--extra-info ebpf.programs --jsonpath [1].Name":             "b\n",
		"--jsonpath Programs[*].Instructions -o json":                "[1,2]\n",
		"--jsonpath $.Programs[?@.Instructions>1].Section":           "raw_tp/b\n",
		"--jsonpath .Params[0].Default":                              "18446744073709551615\n",
		"--jsonpath Wasm.Exports[0] -o json":                         `{"Name":"gadgetInit","Type":"() -> i32"}` + "\n",
		"--extra-info ebpf.variables --jsonpath [0].Key -o yaml":     "k\n",
		"--extra-info ebpf.flowchart":                                d.flowchart(),
		"--jsonpath Annotations['org.opencontainers.image.created']": "2023-11-14T22:13:20Z\n",
	} {
		if got, err := view(t, d, strings.Fields(args)...); err != nil || got != want {
			t.Errorf("%s: got\n%s%v, want\n%s", args, got, err, want)
		}
	}
	if got, err := view(t, d, "-o", "yaml"); err != nil || !strings.HasPrefix(got, "Annotations:\n") || !strings.Contains(got, `Default: "18446744073709551615"`) {
		t.Errorf("got\n%s%v", got, err)
	}
	if got, err := view(t, d); err != nil || !strings.Contains(got, "  imports  ig.getParam  (i64, i32) -> i32\n") {
		t.Errorf("got\n%s%v", got, err)
	}
}

func TestWrongViews(t *testing.T) {
	t.Parallel()
	d := described(t)
	for args, want := range map[string]string{
		"--extra-info oci.x":                `--extra-info: want one of ebpf.flowchart, `,
		"--jsonpath [":                      "--jsonpath: jsonpath: unexpected",
		"--jsonpath Nothing":                `--jsonpath: "$.Nothing" selects nothing`,
		"--jsonpath Name -o text":           `--output: want json, jsonpretty or yaml for a part of the description, got "text"`,
		"--output csv":                      `--output: want text, json, jsonpretty, yaml or mermaid, got "csv"`,
		"--extra-info ebpf.maps -o mermaid": "want json, jsonpretty or yaml",
	} {
		if got, err := view(t, d, strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v, want an error with %q", args, got, err, want)
		}
	}
	for part := range parts() {
		if _, err := view(t, &Description{}, "--extra-info", part); err == nil || err.Error() != "--extra-info: the gadget has no "+part {
			t.Errorf("%s of an empty gadget: %v", part, err)
		}
	}
}

// What is no module is described as such.
func TestInvalidModules(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\x00asm", module[:len(module)-1], strings.Replace(module, "\x41\x00\x0b", "\x42\x00\x0b", 1)} {
		if d := describeModule(t.Context(), []byte(text)); d.Invalid == "" || d.Imports != nil || d.Bytes != len(text) {
			t.Errorf("%q: %+v", text, d)
		}
	}
}

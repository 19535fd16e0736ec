// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/oci"
	"github.com/gizmo-ebpf/gizmo/oci/reference"
	"github.com/gizmo-ebpf/gizmo/oci/store"
	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// env returns what the commands use, and where they write.
func env(t *testing.T, input string) (*Env, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	return &Env{In: strings.NewReader(input), Out: out, Err: out, Version: "v1", Warn: func(err error) { t.Error(err) }}, out
}

// run runs a command in the test's own store.
func run(t *testing.T, e *Env, arguments ...string) error {
	t.Helper()
	root := &cobra.Command{Use: "image", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(e)...)
	root.SetArgs(arguments)
	return root.ExecuteContext(t.Context())
}

// keep keeps an image in the store.
func keep(t *testing.T, e *Env, name string) error {
	t.Helper()
	gadgets := map[string]oci.Gadget{"amd64": {Metadata: []byte("name: x\n"), Object: []byte(name)}, "arm64": {Object: []byte(name)}}
	return e.Keep(t.Context(), name, gadgets, &metadata.Metadata{Name: "x", Annotations: map[string]string{"a": "b"}}, nil)
}

// What scripts read.
func TestCommands(t *testing.T) {
	t.Setenv("GIZMO_OCI_STORE", t.TempDir())
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	e, out := env(t, "")
	file := t.TempDir() + "/x.tar"
	do := func(arguments ...string) string {
		t.Helper()
		out.Reset()
		if err := run(t, e, arguments...); err != nil {
			t.Errorf("%q: %v", arguments, err)
		}
		return out.String()
	}
	if err := keep(t, e, "one"); err != nil {
		t.Fatal(err)
	}
	_, sum, _ := strings.Cut(strings.TrimSpace(out.String()), "@")
	const complete = "ghcr.io/inspektor-gadget/gadget/one:latest"
	if want := "Successfully built " + complete + "@" + sum + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	if err := keep(t, e, "one"); err != nil || !strings.Contains(out.String(), sum) {
		t.Errorf("the second time: %v, %s", err, out)
	}
	for _, tt := range []struct{ line, want string }{
		{"tag one localhost:5000/two:v2", "Successfully tagged with localhost:5000/two:v2@" + sum + "\n"},
		{"export one localhost:5000/two:v2 " + file, "Successfully exported images to " + file + "\n"},
		{"remove one localhost:5000/two:v2", "Successfully removed one\nSuccessfully removed localhost:5000/two:v2\n"},
		{"list", "REPOSITORY  TAG  DIGEST  CREATED\n"},
		{"list -o json", "[]\n"},
		{"import " + file, "Successfully imported images:\n  " + complete + "\n  localhost:5000/two:v2\n"},
		{"remove one", "Successfully removed one\n"},
		{"import -o json " + file, `[{"Repository":"one","Tag":"latest","Digest":"` + sum + `","Created":"2023-11-14T22:13:20Z"},` +
			`{"Repository":"localhost:5000/two","Tag":"v2","Digest":"` + sum + `","Created":"2023-11-14T22:13:20Z"}]` + "\n"},
		{"prune", "Removed 0 files, 0 bytes\n"},
		{"list -o json", `[{"Repository":"one","Tag":"latest","Digest":"` + sum + `","Created":"2023-11-14T22:13:20Z"},` +
			`{"Repository":"localhost:5000/two","Tag":"v2","Digest":"` + sum + `","Created":"2023-11-14T22:13:20Z"}]` + "\n"},
	} {
		if got := do(strings.Fields(tt.line)...); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.line, got, tt.want)
		}
	}
	if got := do("list"); !strings.Contains(got, "one                 latest  "+sum[7:19]+"  2 years ago\n") && !strings.Contains(got, " years ago\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestWrongCommands(t *testing.T) {
	t.Setenv("GIZMO_OCI_STORE", t.TempDir())
	e, _ := env(t, "")
	for line, want := range map[string]string{
		"tag one":             "want an image and a name; usage: image tag IMAGE NAME",
		"tag one two":         "the image is not in the store: ghcr.io/inspektor-gadget/gadget/one:latest",
		"tag ONE two":         `"ONE" is no name of an image`,
		"remove one":          "the image is not in the store",
		"export one /x":       "the image is not in the store",
		"import /nonexistent": "no such file or directory",
		"import .":            "is not an OCI layout",
		"import -o x .":       `--output: want json or jsonpretty, got "x"`,
		"list -o yaml":        `--output: want columns, json or jsonpretty, got "yaml"`,
		"push one":            "the image is not in the store",
		"pull":                "want an image; usage: image pull IMAGE",
	} {
		if err := run(t, e, strings.Fields(line)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", line, err, want)
		}
	}
	if err := keep(t, e, "x@sha256:0"); err == nil || !strings.HasPrefix(err.Error(), "--tag: ") {
		t.Errorf("error %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "today")
	if err := keep(t, e, "x"); err == nil || err.Error() != `$SOURCE_DATE_EPOCH: want seconds since 1970, got "today"` {
		t.Errorf("error %v", err)
	}
}

// Entries of the list of allowed images are completed as names are.
func TestAllowedGadgets(t *testing.T) {
	t.Parallel()
	e, _ := env(t, "")
	d := ocispec.Descriptor{Digest: digest.FromString("x")}
	const base = "ghcr.io/inspektor-gadget/gadget/"
	for _, tt := range []struct {
		allowed, name string
		before, after bool
	}{
		{"", "x", true, true},
		{"trace_open", "trace_open", true, true},
		{"trace_open", base + "trace_open:latest", true, true},
		{"trace_open", "trace_open:v2", false, false},
		{"trace_open", "trace_open@" + d.Digest.String(), false, false},
		{"trace_open@" + d.Digest.String(), "trace_open", true, true},
		{"trace_open@" + digest.FromString("y").String(), "trace_open", true, false},
		{"trace_open@" + d.Digest.String(), "trace_exec", false, false},
		{"trace_*", "trace_exec:v3", true, true},
		{base + "*", "trace_exec", true, true},
		{"trace_open:v*", "trace_open:v3", true, true},
		{"trace_open:v*", "trace_open", false, false},
		{"*", "localhost:5000/x", true, true},
		{"other,localhost:5000/x", "localhost:5000/x", true, true},
		{"localhost:5000/*", "localhost:50001/x", false, false},
	} {
		f := RunFlags{}
		if tt.allowed != "" {
			f.allowed = strings.Split(tt.allowed, ",")
		}
		name, err := e.defaults().Parse(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if before, after := f.checkName(e, name) == nil, f.checkDigest(e, name, d) == nil; before != tt.before || after != tt.after {
			t.Errorf("%q with %s: %v before the digest is known, %v after; want %v, %v", tt.allowed, tt.name, before, after, tt.before, tt.after)
		}
	}
	f := RunFlags{allowed: []string{""}}
	if name, _ := e.defaults().Parse("x"); f.checkName(e, name) == nil {
		t.Error("an empty entry allows an image")
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		input, user, password string
		fromInput             bool
		want, err             string
	}{
		{"", "u", "p", false, "u p", ""},
		{"p\n", "u", "", true, "u p", ""},
		{"me\nmy secret\r\n", "", "", false, "me my secret", ""},
		{"", "", "", false, "", "no name of a user was given"},
		{"me\n", "", "", false, "", "no password was given"},
		{"p", "", "", true, "", "--password-stdin needs --username"},
	} {
		e, _ := env(t, tt.input)
		user, password, err := e.credentials(tt.user, tt.password, tt.fromInput)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: error %v", tt, err)
			}
		} else if err != nil || user+" "+password != tt.want {
			t.Errorf("%+v: got %q, %q, %v", tt, user, password, err)
		}
	}
}

// What --measure records is what inspect shows.
func TestCost(t *testing.T) {
	t.Parallel()
	annotations := map[string]string{"io.gizmo.verifier.5.4.0": "b=7"}
	addCost(annotations, map[string]int{"b": 2, "a": 1})
	d := Description{Programs: []describedProgram{{Name: "b"}, {Name: "c"}}}
	d.OfImage("x", &oci.Image{Annotations: annotations}, Seal{})
	got := d.Programs[0].Verified
	if len(annotations) != 2 || len(got) != 2 || got[0] != "7 on Linux 5.4.0" || !strings.HasPrefix(got[1], "2 on Linux ") || d.Programs[1].Verified != nil {
		t.Errorf("%v: %+v", annotations, d.Programs)
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	if got := age(time.Now().Add(-3 * time.Hour).Format(time.RFC3339)); got != "3 hours ago" {
		t.Errorf("got %q", got)
	}
	if got := age("x"); got != "" {
		t.Errorf("got %q", got)
	}
}

// Nothing in a name reaches beyond its label.
func TestDiagram(t *testing.T) {
	t.Parallel()
	d := Description{
		Programs: []describedProgram{{Name: "p\"]", Section: "a<b"}},
		Maps:     []image.Map{{Name: "m#1", Type: "Hash", Programs: []string{"p\"]"}}, {Name: "alone", Type: "Array"}},
	}
	var out strings.Builder
	if err := d.Write(&out, "mermaid"); err != nil {
		t.Fatal(err)
	}
	want := "flowchart LR\n  p0[\"p#quot;]<br/>a&lt;b\"]\n  m0[(\"m#35;1<br/>Hash\")]\n  m1[(\"alone<br/>Array\")]\n  p0 --- m0\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := d.Write(&out, "x"); err == nil {
		t.Error("an unknown mode passes")
	}
}

// Keys are files or texts; without any the standard key counts.
func TestTrustFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := dir + "/key.pub"
	if err := os.WriteFile(file, []byte(trust.StandardKey), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, keys := range [][]string{nil, {file}, {trust.StandardKey}} {
		f := trustFlags{keys: keys}
		if p, err := f.read(); err != nil || len(p.Keys) != 1 || p.Notation != nil {
			t.Errorf("%q: %+v, %v", keys, p, err)
		}
	}
	for want, f := range map[string]trustFlags{
		"--public-keys: stat /nonexistent": {keys: []string{"/nonexistent"}},
		"--public-keys: ":                  {keys: []string{"-----BEGIN NOTHING-----"}},
		"need each other":                  {policy: "{}"},
		"--notation-certificates: stat":    {policy: "{}", certificates: []string{"/nonexistent"}},
		"read the policy of notation: ":    {policy: "{}", certificates: []string{trust.StandardKey}},
	} {
		if _, err := f.read(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// What was checked is what runs, also if somebody gives its name to another image meanwhile.
func TestNameMovesAfterCheck(t *testing.T) {
	t.Setenv("GIZMO_OCI_STORE", t.TempDir())
	e, _ := env(t, "")
	for _, name := range []string{"good", "bad"} {
		gadgets := map[string]oci.Gadget{runtime.GOARCH: {Object: []byte(name)}}
		if err := e.Keep(t.Context(), name, gadgets, &metadata.Metadata{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	f := RunFlags{pull: pullNever}
	checked := ""
	img, err := f.find(t.Context(), e, "good", func(_ context.Context, _ *store.Store, _ reference.Name, d ocispec.Descriptor) error {
		checked = d.Digest.String()
		if err := run(t, e, "tag", "bad", "good"); err != nil {
			t.Error(err)
		}
		if err := run(t, e, "prune"); !errors.Is(err, store.ErrBusy) {
			t.Errorf("prune: %v", err)
		}
		return nil
	})
	if err != nil || string(img.Object) != "good" || img.Index.Digest.String() != checked {
		t.Errorf("got %+v, %v; %s was checked", img, err, checked)
	}
	if img, err := f.Find(t.Context(), e, "good"); err != nil || string(img.Object) != "bad" {
		t.Errorf("afterwards: %+v, %v", img, err)
	}
}

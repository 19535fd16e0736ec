// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build/buildtest"
	"github.com/gizmo-ebpf/gizmo/oci"
)

// others is a program that packs images by itself, as other builders do: blobs by their digests, and index.json.
type others struct {
	blobs map[string]string
	names []string // entries of index.json
}

func (o *others) put(text string) (digest string) {
	digest = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	o.blobs[digest] = text
	return digest
}

// descriptor adds a blob and returns its descriptor, with further members.
func (o *others) descriptor(mediaType, text, more string) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d%s}`, mediaType, o.put(text), len(text), more)
}

const said = `,"annotations":{"io.inspektor-gadget.builder.version":"v0.55.0","org.opencontainers.image.created":"2026-08-21T10:00:00+02:00","org.opencontainers.image.title":"x"}`

// add adds an image for all architectures that gizmo runs on.
func (o *others) add(name, config string, layers ...string) {
	manifest := `{"schemaVersion":2,"artifactType":"application/vnd.gadget.v1+binary","config":` + config + `,"layers":[` + strings.Join(layers, ",") + `]` + said + `}`
	var manifests []string
	for _, arch := range []string{"amd64", "arm64"} {
		manifests = append(manifests, o.descriptor("application/vnd.oci.image.manifest.v1+json", manifest, said+`,"platform":{"architecture":"`+arch+`","os":"linux"}`))
	}
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + strings.Join(manifests, ",") + `]` + said + `}`
	o.names = append(o.names, o.descriptor("application/vnd.oci.image.index.v1+json", index, `,"annotations":{"org.opencontainers.image.ref.name":"`+name+`"}`))
}

// write writes the images as a tar file.
func (o *others) write(t *testing.T) string {
	t.Helper()
	var file bytes.Buffer
	w := tar.NewWriter(&file)
	add := func(name, text string) {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, digest := range slices.Sorted(maps.Keys(o.blobs)) {
		add("blobs/sha256/"+digest, o.blobs[digest])
	}
	add("index.json", `{"schemaVersion":2,"manifests":[`+strings.Join(o.names, ",")+`]}`)
	add("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
	name := filepath.Join(t.TempDir(), "images.tar")
	if err := errors.Join(w.Close(), os.WriteFile(name, file.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

const configType = "application/vnd.gadget.config.v1+yaml"

// Images that another program has packed are gadgets: with a program, and without.
func TestImagesOfOthers(t *testing.T) {
	t.Parallel()
	object := string(buildtest.Compile(t, "../gadgets/trace_exec").Object)
	layer := func(o *others) string {
		return o.descriptor("application/vnd.gadget.ebpf.program.v1+binary", object, "")
	}
	for name, tt := range map[string]struct {
		pack   func(o *others)
		source string // the data source that it has
		warn   string
		err    string
	}{
		"a program": {func(o *others) { o.add("r/x:1", o.descriptor(configType, "name: own\n", said), layer(o)) }, "exec", "", ""},
		"no gadget.yaml": {func(o *others) {
			o.add("r/x:1", o.descriptor("application/vnd.oci.empty.v1+json", "{}", `,"data":"e30="`), layer(o))
		}, "exec", "", ""},
		"no program": {func(o *others) {
			o.add("r/x:1", o.descriptor(configType, "name: own\noperator: {process: {emitstats: true}}\n", said))
		}, "processes", "", ""},
		"a Wasm module": {func(o *others) {
			o.add("r/x:1", o.descriptor(configType, "name: own\n", said), layer(o), o.descriptor("application/vnd.gadget.wasm.program.v1+binary", "\x00asm", ""))
		}, "exec", "a Wasm module, which gizmo does not run yet", ""},
		"an unknown layer": {func(o *others) {
			o.add("r/x:1", o.descriptor(configType, "name: own\n", said), layer(o), o.descriptor("application/x", "?", ""))
		}, "exec", `"application/x"`, ""},
		"nothing": {func(o *others) { o.add("r/x:1", o.descriptor(configType, "name: own\n", said)) }, "", "", "it has no program.bpf.c"},
		"two images": {func(o *others) {
			o.add("r/x:1", o.descriptor(configType, "name: own\n", said), layer(o))
			o.add("r/x:2", o.descriptor(configType, "name: other\n", said), layer(o))
		}, "", "", "has 2 images, and gizmo can run one: "},
		"none": {func(*others) {}, "", "", "has 0 images"},
	} {
		o := &others{blobs: make(map[string]string)}
		tt.pack(o)
		var warnings []string
		c := Catalog{Warn: func(err error) { warnings = append(warnings, err.Error()) }}
		g, err := c.Find(t.Context(), o.write(t))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want one with %q", name, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := g.Image.DataSource(tt.source); !ok {
			t.Errorf("%s: no data source %q in %+v", name, tt.source, g.Image.DataSources)
		}
		if got := strings.Join(warnings, "\n"); (got == "") != (tt.warn == "") || !strings.Contains(got, tt.warn) {
			t.Errorf("%s: warnings %q, want %q", name, got, tt.warn)
		}
	}
}

// A name is an image only if it is written as one, or is nothing else.
func TestNamesOfImages(t *testing.T) {
	t.Parallel()
	yaml := []byte("name: found\noperator: {process: {emitstats: true}}\n")
	dir := folder(t, string(yaml))
	var asked string
	c := Catalog{Images: func(_ context.Context, name string) (*oci.Image, error) {
		asked = name
		if strings.Contains(name, "missing") {
			return nil, errors.New("nowhere")
		}
		return &oci.Image{Gadget: oci.Gadget{Metadata: yaml}}, nil
	}}
	for name, want := range map[string]string{
		"x:latest": "x:latest", "localhost:5000/x": "localhost:5000/x", "something_else": "something_else", "a/b": "a/b",
		dir: "", "./missing": "", "/missing": "",
	} {
		asked = ""
		g, err := c.Find(t.Context(), name)
		if asked != want {
			t.Errorf("%s: asked for %q, want %q", name, asked, want)
		}
		if isThere := want != "" || name == dir; isThere != (err == nil) || isThere && g.Image.Metadata.Name != "found" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"missing":    `unknown gadget "missing", and no image: nowhere`,
		"missing/a":  "there is no folder missing/a: file does not exist, and no image: nowhere",
		"missing:v1": "nowhere",
	} {
		if _, err := c.Find(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// parts are the parts of images by their digests.
type parts map[digest.Digest][]byte

func (p parts) Push(_ context.Context, d ocispec.Descriptor, from io.Reader) error {
	data, err := content.ReadAll(from, d)
	p[d.Digest] = data
	return err
}

func (p parts) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := p[d.Digest]
	if !ok {
		return nil, errors.New("not found")
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// put adds a part and returns its descriptor as JSON, with further members.
func (p parts) put(mediaType, data, more string) string {
	d := content.NewDescriptorFromBytes(mediaType, []byte(data))
	p[d.Digest] = []byte(data)
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d%s}`, mediaType, d.Digest, d.Size, more)
}

// index adds an index of manifests.
func (p parts) index(manifests ...string) ocispec.Descriptor {
	data := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + strings.Join(manifests, ",") + `]}`
	d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, []byte(data))
	p[d.Digest] = []byte(data)
	return d
}

const amd64 = `,"platform":{"architecture":"amd64","os":"linux"}`

func sample() (map[string]Gadget, map[string]string) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	annotations := Annotations("t", "d", "", "", "s", "v1.2.3", map[string]string{"x": "y", ocispec.AnnotationSource: "other", ocispec.AnnotationCreated: "never"}, created)
	return map[string]Gadget{
		"arm64": {Metadata: []byte("name: t\n"), Object: []byte("arm"), Wasm: []byte("wasm")},
		"amd64": {Metadata: []byte("name: t\n"), Object: []byte("amd"), Wasm: []byte("wasm"), BTFGen: []byte("gz")},
	}, annotations
}

// The bytes are those that images in the wild have.
func TestPackedBytes(t *testing.T) {
	t.Parallel()
	gadgets, annotations := sample()
	all := make(parts)
	index, err := Pack(t.Context(), all, gadgets, annotations)
	if err != nil {
		t.Fatal(err)
	}
	const a = `"annotations":{"io.inspektor-gadget.builder.version":"v1.2.3","org.opencontainers.image.created":"2026-01-02T03:04:05Z",` +
		`"org.opencontainers.image.description":"d","org.opencontainers.image.documentation":"","org.opencontainers.image.source":"other",` +
		`"org.opencontainers.image.title":"t","org.opencontainers.image.url":"","x":"y"}`
	descriptor := func(mediaType, data, more string) string { return make(parts).put(mediaType, data, more) }
	manifest := func(layers ...string) string {
		return `{"schemaVersion":2,"artifactType":"application/vnd.gadget.v1+binary","config":` +
			descriptor("application/vnd.gadget.config.v1+yaml", "name: t\n", ","+a) + `,"layers":[` + strings.Join(layers, ",") + `],` + a + `}`
	}
	layer := func(kind, data string) string {
		return descriptor("application/vnd.gadget."+kind+".v1+binary", data, "")
	}
	amd := manifest(layer("ebpf.program", "amd"), layer("wasm.program", "wasm"), layer("btfgen", "gz"))
	arm := manifest(layer("ebpf.program", "arm"), layer("wasm.program", "wasm"))
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	want := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` +
		descriptor(manifestType, amd, ","+a+`,"platform":{"architecture":"amd64","os":"linux"}`) + `,` +
		descriptor(manifestType, arm, ","+a+`,"platform":{"architecture":"arm64","os":"linux"}`) + `],` + a + `}`
	if got := string(all[index.Digest]); got != want {
		t.Errorf("the index is\n%s\nwant\n%s", got, want)
	}
	for _, text := range []string{amd, arm} {
		if all[digest.FromString(text)] == nil {
			t.Errorf("there is no manifest\n%s", text)
		}
	}
}

// What was packed is what is unpacked, and the same contents have the same digest.
func TestUnpack(t *testing.T) {
	t.Parallel()
	gadgets, annotations := sample()
	gadgets["riscv64"] = Gadget{}                                        // a gadget of nothing
	gadgets["s390x"] = Gadget{Metadata: []byte{}, Object: []byte("obj")} // an empty gadget.yaml is one
	all := make(parts)
	index, err := Pack(t.Context(), all, gadgets, annotations)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Pack(t.Context(), all, gadgets, annotations); err != nil || again.Digest != index.Digest {
		t.Errorf("the second time its digest is %s, %v", again.Digest, err)
	}
	for arch, want := range gadgets {
		img, err := Unpack(t.Context(), all, index, arch, func(err error) { t.Error(err) })
		if err != nil {
			t.Errorf("%s: %v", arch, err)
			continue
		}
		same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
		if !same(img.Metadata, want.Metadata) || !same(img.Object, want.Object) || !same(img.Wasm, want.Wasm) || !same(img.BTFGen, want.BTFGen) {
			t.Errorf("%s: got %+v, want %+v", arch, img.Gadget, want)
		}
		if !maps.Equal(img.Annotations, annotations) || img.Index.Digest != index.Digest {
			t.Errorf("%s: annotations %v, index %s", arch, img.Annotations, img.Index.Digest)
		}
	}
	if _, err := Unpack(t.Context(), all, index, "mips", nil); !errors.Is(err, ErrNoGadget) || !strings.Contains(err.Error(), "for mips: it has those for amd64, arm64, riscv64, s390x") {
		t.Errorf("error %v", err)
	}
}

// Images of other programs may have less, more, and other things than ours.
func TestImagesOfOthers(t *testing.T) {
	t.Parallel()
	all := make(parts)
	yaml, object := all.put(ConfigType, "name: t\n", ""), all.put(ObjectType, "obj", "")
	manifest := func(text string) string { return all.put(ocispec.MediaTypeImageManifest, text, amd64) }
	good := manifest(`{"schemaVersion":2,"config":` + yaml + `,"layers":[` + object + `]}`) // from before there was an artifactType
	signature := all.put(ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[]}`, "")
	nested := all.put(ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[]}`, amd64)
	large := fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064d","size":%d%s}`, ocispec.MediaTypeImageManifest, 0, 1<<30, amd64)
	liar := strings.Replace(good, `sha256:`, `sha256:0000`, 1)
	liar = liar[:strings.Index(liar, "0000")] + fmt.Sprintf("%064d", 7) + liar[strings.Index(liar, `","size"`):]
	all[digest.Digest("sha256:"+fmt.Sprintf("%064d", 7))] = []byte(`{"schemaVersion":2,"config":` + yaml + `,"layers":[` + object + `]}`)
	for name, tt := range map[string]struct {
		index             ocispec.Descriptor
		object, warn, err string
	}{
		"old":             {all.index(good), "obj", "", ""},
		"signature first": {all.index(signature, good), "obj", "", ""},
		"an index in it":  {all.index(nested, good), "obj", "", ""},
		"no architecture": {all.index(signature), "", "", "its index names no architecture"},
		"nothing":         {all.index(), "", "", "its index names no architecture"},
		"unknown layer":   {all.index(manifest(`{"config":` + yaml + `,"layers":[` + all.put("x/y", "?", "") + `,` + object + `]}`)), "obj", `"x/y"`, ""},
		"two objects":     {all.index(manifest(`{"config":` + yaml + `,"layers":[` + object + `,` + object + `]}`)), "", "", "two layers of the type"},
		"of a container":  {all.index(manifest(`{"config":` + all.put(ocispec.MediaTypeImageConfig, "{}", "") + `,"layers":[]}`)), "", "", `its config is "application/vnd.oci.image.config.v1+json"`},
		"a manifest":      {ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest}, "", "", "it is not an image index"},
		"1 GiB":           {all.index(large), "", "", "the manifest of the image has 1073741824 bytes; gizmo reads at most 4194304"},
		"broken":          {all.index(manifest(`{"config":`)), "", "", "the manifest of the image: unexpected end"},
		"a missing layer": {all.index(manifest(`{"config":` + yaml + `,"layers":[` + strings.Replace(make(parts).put(ObjectType, "gone", ""), "gone", "", 1) + `]}`)), "", "", "not found"},
		"digest lies":     {all.index(liar), "", "", "mismatch"},
	} {
		var warned []string
		img, err := Unpack(t.Context(), all, tt.index, "amd64", func(err error) { warned = append(warned, err.Error()) })
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want one with %q", name, err, tt.err)
			}
			continue
		}
		if err != nil || string(img.Object) != tt.object || string(img.Metadata) != "name: t\n" {
			t.Errorf("%s: %+v, %v", name, img, err)
		}
		if (len(warned) > 0) != (tt.warn != "") || !strings.Contains(strings.Join(warned, ""), tt.warn) {
			t.Errorf("%s: warnings %q", name, warned)
		}
	}
}

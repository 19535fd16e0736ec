// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// fixture is an image that cosign or notation has signed. test/signatures writes them.
type fixture struct {
	Image                        ocispec.Descriptor
	Repository                   string
	Attached                     []ocispec.Descriptor
	Parts                        map[digest.Digest][]byte
	Keys, Document, Certificates string

	manifest ocispec.Manifest // the attached one
	signed   []byte           // its only layer
}

// Fetch implements content.Fetcher.
func (f *fixture) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := f.Parts[d.Digest]
	if !ok {
		return nil, errdef.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func fixtures(t *testing.T) map[string]*fixture {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) != 5 {
		t.Fatal(paths, err)
	}
	all := make(map[string]*fixture)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := new(fixture)
		if err := json.Unmarshal(data, f); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(f.Parts[f.Attached[0].Digest], &f.manifest); err != nil {
			t.Fatal(err)
		}
		f.signed = f.Parts[f.manifest.Layers[0].Digest]
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = f
	}
	return all
}

func (f *fixture) policy(t *testing.T) (p trust.Policy) {
	t.Helper()
	var err error
	if f.Keys != "" {
		p.Keys, err = trust.ParseKeys(f.Keys)
	} else {
		p.Notation, err = trust.ParseNotation(f.Document, f.Certificates, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// with returns the image with a signature in which the signed part is another one.
func (f *fixture) with(signed []byte) (*fixture, trust.Image) {
	m := f.manifest
	layer := m.Layers[0]
	layer.Digest, layer.Size = digest.FromBytes(signed), int64(len(signed))
	m.Layers = []ocispec.Descriptor{layer}
	data := must(json.Marshal(&m))
	d := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data)
	return &fixture{Parts: map[digest.Digest][]byte{layer.Digest: signed, d.Digest: data}},
		trust.Image{Descriptor: f.Image, Repository: f.Repository, Attached: []ocispec.Descriptor{d}}
}

// What cosign and notation have signed counts.
func TestOthers(t *testing.T) {
	t.Parallel()
	formats := map[string]trust.Format{
		"cosign-tag": trust.SimpleSigning, "cosign-referrer": trust.SimpleSigning, "cosign-bundle": trust.Bundle, "notation-cose": trust.NotaryProject, "notation-jose+json": trust.NotaryProject,
	}
	for name, f := range fixtures(t) {
		image := trust.Image{Descriptor: f.Image, Repository: f.Repository, Attached: f.Attached}
		got, err := trust.Verify(t.Context(), f, image, f.policy(t))
		if err != nil || got.Format != formats[name] {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		image.Descriptor.Digest = digest.FromString("x")
		if _, err := trust.Verify(t.Context(), f, image, f.policy(t)); !errors.Is(err, trust.ErrOtherImage) {
			t.Errorf("%s for another image: %v", name, err)
		}
	}
}

// No bit of what is signed can be another one.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	for name, f := range fixtures(t) {
		policy := f.policy(t)
		from, image := f.with(f.signed)
		if _, err := trust.Verify(t.Context(), from, image, policy); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		payload, encode := f.signed, func(b []byte) []byte { return b } // what is signed, and how it is written
		switch name {
		case "cosign-bundle":
			payload, encode = member(t, f.signed, "payload", base64.StdEncoding)
		case "notation-jose+json":
			payload, encode = member(t, f.signed, "payload", base64.RawURLEncoding)
		case "notation-cose": // the payload is in it as it is
			from := bytes.Index(f.signed, []byte(`{"targetArtifact`))
			to := bytes.LastIndexByte(f.signed, '}') + 1
			payload, encode = f.signed[from:to], func(b []byte) []byte {
				return append(append(bytes.Clone(f.signed[:from]), b...), f.signed[to:]...)
			}
		}
		for i := range len(payload) * 8 {
			changed := bytes.Clone(payload)
			changed[i/8] ^= 1 << (i % 8)
			from, image := f.with(encode(changed))
			if _, err := trust.Verify(t.Context(), from, image, policy); err == nil {
				t.Fatalf("%s: it counts as %q", name, changed)
			}
		}
	}
}

// member finds a member of JSON, in base64, and returns it and a function that puts another in its place.
func member(t *testing.T, data []byte, name string, encoding *base64.Encoding) ([]byte, func([]byte) []byte) {
	t.Helper()
	begin := []byte(`"` + name + `":"`)
	from := bytes.Index(data, begin) + len(begin)
	to := from + bytes.IndexByte(data[from:], '"')
	payload, err := encoding.DecodeString(string(data[from:to]))
	if err != nil || len(payload) == 0 {
		t.Fatal(err)
	}
	return payload, func(b []byte) []byte {
		return append(append(bytes.Clone(data[:from]), encoding.EncodeToString(b)...), data[to:]...)
	}
}

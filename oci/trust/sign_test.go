// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

func newPrivateKey(t testing.TB) *trust.PrivateKey {
	t.Helper()
	return must(trust.NewPrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
}

func (b *bed) sign(k *trust.PrivateKey, format trust.Format) ocispec.Descriptor {
	b.t.Helper()
	d, err := trust.Sign(b.t.Context(), b.store, b.image, k, format)
	if err != nil {
		b.t.Fatal(err)
	}
	b.image.Attached = append(b.image.Attached, d)
	return d
}

func (b *bed) verify(keys ...*trust.PrivateKey) (trust.Result, error) {
	b.t.Helper()
	var policy trust.Policy
	for _, k := range keys {
		policy.Keys = append(policy.Keys, k.Public())
	}
	return trust.Verify(b.t.Context(), b.store, b.image, policy)
}

// What is signed counts, by each kind of key.
func TestSign(t *testing.T) {
	t.Parallel()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for _, k := range []*trust.PrivateKey{
		newPrivateKey(t), must(trust.NewPrivateKey(ed)), must(trust.NewPrivateKey(must(rsa.GenerateKey(rand.Reader, 2048)))),
	} {
		for _, format := range []trust.Format{trust.SimpleSigning, trust.Bundle} {
			b := newBed(t)
			d := b.sign(k, format)
			got, err := b.verify(k)
			if err != nil || got.Format != format || got.Manifest != d.Digest {
				t.Errorf("%s %s: got %+v, %v", k.Public(), format, got, err)
			}
			if _, err := b.verify(newPrivateKey(t)); !errors.Is(err, trust.ErrOtherKey) {
				t.Errorf("%s %s by another key: %v", k.Public(), format, err)
			}
		}
	}
}

// The manifest of cosign has the signatures of several keys, each of them once.
func TestSignAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	first, second := newPrivateKey(t), newPrivateKey(t)
	one := b.sign(first, trust.SimpleSigning)
	b.sign(first, trust.Bundle) // this is apart
	two := b.sign(second, trust.SimpleSigning)
	if again := b.sign(first, trust.SimpleSigning); again.Digest != two.Digest {
		t.Errorf("got %v, want %v: it is signed by this key", again, two)
	}
	var m, old ocispec.Manifest
	must(0, json.Unmarshal(must(content.FetchAll(t.Context(), b.store, two)), &m))
	must(0, json.Unmarshal(must(content.FetchAll(t.Context(), b.store, one)), &old))
	if len(m.Layers) != 2 || m.Layers[0].Annotations["dev.cosignproject.cosign/signature"] != old.Layers[0].Annotations["dev.cosignproject.cosign/signature"] {
		t.Errorf("got %+v after %+v", m, old)
	}
	b.image.Attached = []ocispec.Descriptor{two}
	for _, k := range []*trust.PrivateKey{first, second} {
		if _, err := b.verify(k); err != nil {
			t.Error(err)
		}
	}
}

// Signatures with annotations that gizmo does not know keep them.
func TestSignKeepsAnnotations(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := p256()
	data := payload(b.image.Descriptor.Digest)
	d := b.simple(data, m.sign(data))
	d.Annotations["dev.sigstore.cosign/bundle"] = `{"a":"<&>"}`
	b.attach("", d)
	var got ocispec.Manifest
	must(0, json.Unmarshal(must(content.FetchAll(t.Context(), b.store, b.sign(newPrivateKey(t), trust.SimpleSigning))), &got))
	if len(got.Layers) != 2 || got.Layers[0].Annotations["dev.sigstore.cosign/bundle"] != `{"a":"<&>"}` {
		t.Errorf("got %+v", got)
	}
}

// What cannot be signed is explained, and nothing is lost: signatures that cannot be read are not replaced.
func TestSignFails(t *testing.T) {
	t.Parallel()
	k := newPrivateKey(t)
	b := newBed(t)
	for format, want := range map[trust.Format]string{trust.NotaryProject: "does not make them", "hello": `"hello"`} {
		if _, err := trust.Sign(t.Context(), b.store, b.image, k, format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", format, err)
		}
	}
	if _, err := trust.Sign(t.Context(), b.store, trust.Image{}, k, trust.SimpleSigning); err == nil {
		t.Error("no image is signed")
	}
	b.image.Attached = []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: b.image.Descriptor.Digest, Size: 1}}
	if _, err := trust.Sign(t.Context(), b.store, b.image, k, trust.SimpleSigning); !errors.Is(err, trust.ErrBroken) {
		t.Errorf("with a broken signature: %v", err)
	}
	b = newBed(t)
	m := p256()
	data := payload(b.image.Descriptor.Digest)
	var layers []ocispec.Descriptor
	for range 64 {
		layers = append(layers, b.simple(data, m.sign(data)))
	}
	b.attach("", layers...)
	if _, err := trust.Sign(t.Context(), b.store, b.image, k, trust.SimpleSigning); err == nil || !strings.Contains(err.Error(), "64 signatures") {
		t.Errorf("with many: %v", err)
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package signatures

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// ways are how cosign can be told to sign, and the format that comes of it.
func ways() map[string]struct {
	format trust.Format
	args   []string
} {
	return map[string]struct {
		format trust.Format
		args   []string
	}{
		"tag":      {trust.SimpleSigning, []string{"--new-bundle-format=false"}},
		"referrer": {trust.SimpleSigning, []string{"--new-bundle-format=false", "--registry-referrers-mode=oci-1-1"}},
		"bundle":   {trust.Bundle, nil},
	}
}

func (b *bed) cosignSign(private string, args ...string) {
	b.t.Helper()
	args = append([]string{"sign", "--key", private, "--tlog-upload=false", "--use-signing-config=false", "-y"}, args...)
	b.mustRun(append(args, b.digested())...)
}

func (b *bed) cosignVerify(public string, args ...string) error {
	b.t.Helper()
	args = append([]string{"verify", "--key", public, "--insecure-ignore-tlog"}, args...)
	_, err := b.run(append(args, b.digested())...)
	return err
}

// keys are all kinds of keys that both know, in PKCS #8.
func keys(t *testing.T) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	add := func(name string, key crypto.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		add(curve.Params().Name, key, err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	add("RSA", rsaKey, err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	add("Ed25519", edKey, err)
	return all
}

// gizmo verifies what cosign signs, in each way and with each kind of key, and not by another key.
func TestCosignSigns(t *testing.T) {
	for kind, text := range keys(t) {
		for name, way := range ways() {
			t.Run(kind+" "+name, func(t *testing.T) {
				b := newBed(t)
				key, private, _ := b.parsed(text)
				b.mustRun("import-key-pair", "--key", private, "-o", "imported")
				b.cosignSign("imported.key", way.args...)
				got, err := b.verify(trust.Policy{Keys: []trust.Key{key.Public()}})
				if err != nil {
					t.Fatal(err)
				}
				if got.Format != way.format {
					t.Errorf("got %+v", got)
				}
				other, _, _ := b.keyFiles()
				if _, err := b.verify(trust.Policy{Keys: []trust.Key{other.Public()}}); !errors.Is(err, trust.ErrOtherKey) {
					t.Errorf("by another key: %v", err)
				}
			})
		}
	}
}

// cosign verifies what gizmo signs, and not by another key.
func TestGizmoSigns(t *testing.T) {
	for kind, text := range keys(t) {
		for _, format := range []trust.Format{trust.SimpleSigning, trust.Bundle} {
			t.Run(kind+" "+string(format), func(t *testing.T) {
				b := newBed(t)
				key, _, public := b.parsed(text)
				b.sign(key, format)
				if err := b.cosignVerify(public); err != nil {
					t.Error(err)
				}
				if _, err := b.verify(trust.Policy{Keys: []trust.Key{key.Public()}}); err != nil {
					t.Error(err)
				}
				_, _, foreign := b.keyFiles()
				if err := b.cosignVerify(foreign); err == nil {
					t.Error("by another key: cosign verifies it")
				}
			})
		}
	}
}

// Each reads the keys that the other makes.
func TestKeys(t *testing.T) {
	b := newBed(t)
	b.mustRun("generate-key-pair")
	text, err := os.ReadFile(filepath.Join(b.dir, "cosign.key"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(b.dir, "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := trust.ParsePrivateKey(text, func() ([]byte, error) { return []byte("penguin"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key.Public().PEM(), public) {
		t.Errorf("gizmo reads another key:\n%s\n%s", key.Public().PEM(), public)
	}
	key, private, _ := b.keyFiles()
	if out := b.mustRun("public-key", "--key", private); out != string(key.Public().PEM()) {
		t.Errorf("cosign reads another key:\n%s", out)
	}
}

// gizmo's manifest, config and payload have the bytes of cosign's, but for the signature.
func TestSameBytes(t *testing.T) {
	signature := regexp.MustCompile(`cosign/signature":"[^"]*"`)
	parts := func(b *bed) [][]byte {
		s, image := b.pull()
		d, err := only(image)
		if err != nil {
			t.Fatal(err)
		}
		manifest := read(t, s, d)
		var m ocispec.Manifest
		if err := json.Unmarshal(manifest, &m); err != nil {
			t.Fatal(err)
		}
		all := [][]byte{signature.ReplaceAll(manifest, []byte("X")), read(t, s, m.Config)}
		for _, layer := range m.Layers {
			all = append(all, read(t, s, layer))
		}
		return all
	}
	const both = 2 // signatures by two keys: the second one is added to the first
	for n := 1; n <= both; n++ {
		theirs, ours := newBed(t), newBed(t)
		ours.claim = theirs.name.Path() // they are in two registries
		for range n {
			key, private, _ := theirs.keyFiles()
			theirs.cosignSign(private, "--new-bundle-format=false")
			ours.sign(key, trust.SimpleSigning)
		}
		got, want := parts(ours), parts(theirs)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%d: got\n%s\nwant\n%s", n, bytes.Join(got, []byte("\n")), bytes.Join(want, []byte("\n")))
		}
	}
}

// The one adds to the signatures of the other, and all of them count.
func TestSeveral(t *testing.T) {
	for _, gizmoFirst := range []bool{false, true} {
		b := newBed(t)
		mine, _, _ := b.keyFiles()
		minePublic := b.file("mine.pub", mine.Public().PEM())
		theirs, private, public := b.keyFiles()
		if gizmoFirst {
			b.sign(mine, trust.SimpleSigning)
			b.cosignSign(private, "--new-bundle-format=false")
		} else {
			b.cosignSign(private, "--new-bundle-format=false")
			b.store, b.image = b.pull()
			b.sign(mine, trust.SimpleSigning)
		}
		for _, path := range []string{minePublic, public} {
			if err := b.cosignVerify(path, "--new-bundle-format=false"); err != nil {
				t.Error(err)
			}
		}
		for _, key := range []*trust.PrivateKey{mine, theirs} {
			if _, err := b.verify(trust.Policy{Keys: []trust.Key{key.Public()}}); err != nil {
				t.Error(err)
			}
		}
	}
}

// Signing all parts of the index, as upstream does, is no different.
func TestRecursive(t *testing.T) {
	b := newBed(t)
	key, private, _ := b.keyFiles()
	b.cosignSign(private, "--new-bundle-format=false", "--recursive")
	if _, err := b.verify(trust.Policy{Keys: []trust.Key{key.Public()}}); err != nil {
		t.Error(err)
	}
}

// A statement about the image that is no signature does not count, though it is in a bundle by the same key.
func TestAttestation(t *testing.T) {
	b := newBed(t)
	key, private, _ := b.keyFiles()
	predicate := b.file("predicate.json", []byte(`{"result":"terrible"}`))
	b.mustRun("attest", "--key", private, "--tlog-upload=false", "--use-signing-config=false", "-y", "--type", "custom", "--predicate", predicate, b.digested())
	if _, err := b.verify(trust.Policy{Keys: []trust.Key{key.Public()}}); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

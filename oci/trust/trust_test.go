// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/errdef"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

const (
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	bundleType        = "application/vnd.dev.sigstore.bundle.v0.3+json"
	jwsType           = "application/jose+json"
	coseType          = "application/cose"
)

// bed is a store with an image.
type bed struct {
	t     testing.TB
	store *memory.Store
	image trust.Image
}

func newBed(t testing.TB) *bed {
	b := &bed{t: t, store: memory.New()}
	b.image.Descriptor = b.push(ocispec.MediaTypeImageIndex, []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`))
	b.image.Repository = "ghcr.io/some/gadget"
	return b
}

func (b *bed) push(mediaType string, data []byte) ocispec.Descriptor {
	b.t.Helper()
	d := content.NewDescriptorFromBytes(mediaType, data)
	if err := b.store.Push(b.t.Context(), d, bytes.NewReader(data)); err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		b.t.Fatal(err)
	}
	return d
}

// attach makes a manifest that belongs to the image.
func (b *bed) attach(artifactType string, layers ...ocispec.Descriptor) {
	b.t.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.DescriptorEmptyJSON, Layers: layers}
	m.SchemaVersion = 2
	if artifactType != "" {
		m.ArtifactType, m.Subject = artifactType, &b.image.Descriptor
	}
	data, err := json.Marshal(&m)
	if err != nil {
		b.t.Fatal(err)
	}
	d := b.push(m.MediaType, data)
	d.ArtifactType = artifactType
	b.image.Attached = append(b.image.Attached, d)
}

// payload is what cosign signs. Its bytes are written down here because verifiers must take them as they are.
func payload(image digest.Digest) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"ghcr.io/some/gadget"},"image":{"docker-manifest-digest":"%s"},`+
		`"type":"cosign container image signature"},"optional":null}`, image)
}

// simple makes a payload with its signature.
func (b *bed) simple(data, signature []byte) ocispec.Descriptor {
	d := b.push(simpleSigningType, data)
	d.Annotations = map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)}
	return d
}

func statement(image digest.Digest, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1", "subject":[{"digest":{"sha256":"%s"}, "annotations":{}}], "predicateType":"%s", "predicate":{}}`,
		image.Encoded(), predicate)
}

const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// pae is what is signed of an envelope.
func pae(data []byte) []byte {
	const kind = "application/vnd.in-toto+json"
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(data), data)
}

// bundleText makes a bundle with signatures.
func bundleText(data []byte, signatures ...[]byte) []byte {
	var all []string
	for _, s := range signatures {
		all = append(all, fmt.Sprintf(`{"sig":"%s"}`, base64.StdEncoding.EncodeToString(s)))
	}
	return fmt.Appendf(nil, `{"mediaType":"%s", "verificationMaterial":{"publicKey":{"hint":"abc"}}, "dsseEnvelope":{"payload":"%s", `+
		`"payloadType":"application/vnd.in-toto+json", "signatures":[%s]}}`, bundleType, base64.StdEncoding.EncodeToString(data), strings.Join(all, ","))
}

// maker makes signatures in one of the ways that there are.
type maker struct {
	name   string
	public crypto.PublicKey
	sign   func([]byte) []byte
}

func (m *maker) key(t testing.TB) trust.Key {
	t.Helper()
	k, err := trust.NewKey(m.public)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (m *maker) policy(t testing.TB) trust.Policy {
	t.Helper()
	return trust.Policy{Keys: []trust.Key{m.key(t)}}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// sum returns the hash of data.
func sum(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

func onCurve(name string, curve elliptic.Curve, hash crypto.Hash) maker {
	k := must(ecdsa.GenerateKey(curve, rand.Reader))
	return maker{name, k.Public(), func(m []byte) []byte { return must(ecdsa.SignASN1(rand.Reader, k, sum(hash, m))) }}
}

// makers are all kinds of keys, and ways to use them, that verifiers know.
func makers() []maker {
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	return []maker{
		onCurve("P-256", elliptic.P256(), crypto.SHA256),
		onCurve("P-384 SHA-256", elliptic.P384(), crypto.SHA256),
		onCurve("P-384", elliptic.P384(), crypto.SHA384),
		onCurve("P-521 SHA-256", elliptic.P521(), crypto.SHA256),
		onCurve("P-521", elliptic.P521(), crypto.SHA512),
		{"RSA PKCS #1", rsaKey.Public(), func(m []byte) []byte {
			return must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum(crypto.SHA256, m)))
		}},
		{"RSA PSS", rsaKey.Public(), func(m []byte) []byte {
			return must(rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum(crypto.SHA256, m), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}},
		{"Ed25519", edPublic, func(m []byte) []byte { return ed25519.Sign(edKey, m) }},
		{"Ed25519ph", edPublic, func(m []byte) []byte {
			s := sha512.Sum512(m)
			return must(edKey.Sign(rand.Reader, s[:], &ed25519.Options{Hash: crypto.SHA512}))
		}},
	}
}

// p256 makes a key.
func p256() maker { return onCurve("P-256", elliptic.P256(), crypto.SHA256) }

// Each kind of key verifies its signatures in each format, and no others.
func TestKeysAndFormats(t *testing.T) {
	t.Parallel()
	foreign := p256()
	for _, m := range makers() {
		for _, format := range []trust.Format{trust.SimpleSigning, trust.Bundle} {
			t.Run(m.name+" "+string(format), func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				sum := b.image.Descriptor.Digest
				if format == trust.Bundle {
					data := statement(sum, signPredicate)
					b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)))))
				} else {
					data := payload(sum)
					b.attach("", b.simple(data, m.sign(data)))
				}
				got, err := trust.Verify(t.Context(), b.store, b.image, m.policy(t))
				if err != nil {
					t.Fatal(err)
				}
				if got.Format != format || got.Manifest != b.image.Attached[0].Digest || got.Signer() != m.key(t).String() {
					t.Errorf("got %+v: %s", got, got.Signer())
				}
				policy := trust.Policy{Keys: []trust.Key{foreign.key(t), m.key(t)}}
				if got, err := trust.Verify(t.Context(), b.store, b.image, policy); err != nil || got.Key.Sum() != m.key(t).Sum() {
					t.Errorf("with two keys: %v, %v", got.Key, err)
				}
				if _, err := trust.Verify(t.Context(), b.store, b.image, foreign.policy(t)); !errors.Is(err, trust.ErrOtherKey) {
					t.Errorf("with a foreign key: %v", err)
				}
			})
		}
	}
}

// attachment is a signature with something wrong, or with nothing.
type attachment struct {
	name   string
	attach func(b *bed, m maker)
	want   error  // nil: it counts
	text   string // that the error has
}

func attachments() []attachment {
	const other = digest.Digest("sha256:" + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	simple := func(change func(data, signature []byte) ([]byte, []byte)) func(*bed, maker) {
		return func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			data, signature := change(data, m.sign(data))
			b.attach("", b.simple(data, signature))
		}
	}
	inBundle := func(predicate string, change func(string) string) func(*bed, maker) {
		return func(b *bed, m maker) {
			data := statement(b.image.Descriptor.Digest, predicate)
			text := change(string(bundleText(data, m.sign(pae(data)))))
			b.attach(bundleType, b.push(bundleType, []byte(text)))
		}
	}
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	return []attachment{
		{"cosign's referrer", func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			b.attach("application/vnd.dev.cosign.artifact.sig.v1+json", b.simple(data, m.sign(data)))
		}, nil, ""},
		{"payload of another image", func(b *bed, m maker) {
			data := payload(other)
			b.attach("", b.simple(data, m.sign(data)))
		}, trust.ErrOtherImage, "sha256:00112233"},
		{"changed payload", simple(func(data, s []byte) ([]byte, []byte) {
			return bytes.Replace(data, []byte("some"), []byte("evil"), 1), s
		}), trust.ErrOtherKey, "than the P-256 key sha256:"},
		{"signature that is none", simple(func(data, _ []byte) ([]byte, []byte) { return data, []byte("hello") }), trust.ErrOtherKey, ""},
		{"no signature at all", simple(func(data, _ []byte) ([]byte, []byte) { return data, nil }), trust.ErrBroken, "has no signature"},
		{"signature not in base64", func(b *bed, _ maker) {
			d := b.simple(payload(b.image.Descriptor.Digest), nil)
			d.Annotations["dev.cosignproject.cosign/signature"] = "***"
			b.attach("", d)
		}, trust.ErrBroken, "base64"},
		{"signature with a certificate", func(b *bed, _ maker) {
			data := payload(b.image.Descriptor.Digest)
			foreign := p256()
			d := b.simple(data, foreign.sign(data))
			d.Annotations["dev.sigstore.cosign/certificate"] = "-----BEGIN CERTIFICATE-----"
			b.attach("", d)
		}, trust.ErrOtherKey, "certificate"},
		{"payload that is no JSON", func(b *bed, m maker) {
			b.attach("", b.simple([]byte("hello"), m.sign([]byte("hello"))))
		}, trust.ErrBroken, "invalid character"},
		{"payload for another purpose", func(b *bed, m maker) {
			data := bytes.Replace(payload(b.image.Descriptor.Digest), []byte("cosign container image"), []byte("attestation\x1b"), 1)
			data = bytes.ReplaceAll(data, []byte("\x1b"), []byte(`\u001b`))
			b.attach("", b.simple(data, m.sign(data)))
		}, trust.ErrBroken, `"attestation\x1b signature"`},
		{"payload of 2 MiB", func(b *bed, m maker) {
			data := append(payload(b.image.Descriptor.Digest), bytes.Repeat([]byte(" "), 2<<20)...)
			b.attach("", b.simple(data, m.sign(data)))
		}, trust.ErrBroken, "at most 1048576"},
		{"payload with a false size", func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			d := b.simple(data, m.sign(data))
			d.Size--
			b.attach("", d)
		}, trust.ErrBroken, ""},
		{"payload with a negative size", func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			d := b.simple(data, m.sign(data))
			d.Size = -1
			b.attach("", d)
		}, trust.ErrBroken, "-1 bytes"},
		{"payload with another's digest", func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			d := b.simple(data, m.sign(data))
			d.Digest = other
			b.attach("", d)
		}, trust.ErrBroken, "not found"},
		{"payload with a path as its digest", func(b *bed, m maker) {
			data := payload(b.image.Descriptor.Digest)
			d := b.simple(data, m.sign(data))
			d.Digest = "sha256:../../../etc/passwd"
			b.attach("", d)
		}, trust.ErrBroken, "digest"},
		{"bundle", inBundle(signPredicate, replace("", "")), nil, ""},
		{"bundle with a statement about several", func(b *bed, m maker) {
			data := statement(b.image.Descriptor.Digest, signPredicate)
			data = bytes.Replace(data, []byte(`"subject":[`), []byte(`"subject":[{"digest":{"sha256":"00"}},`), 1)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)))))
		}, nil, ""},
		{"bundle of another image", func(b *bed, m maker) {
			data := statement(other, signPredicate)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)))))
		}, trust.ErrOtherImage, "sha256:00112233"},
		{"bundle about nothing", func(b *bed, m maker) {
			data := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"` + signPredicate + `"}`)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)))))
		}, trust.ErrOtherImage, "nothing"},
		{"statement of something else", inBundle("https://cosign.sigstore.dev/attestation/vuln/v1", replace("", "")), trust.ErrRefused, "attestation/vuln"},
		{"bundle with no signature", func(b *bed, _ maker) {
			b.attach(bundleType, b.push(bundleType, bundleText(statement(b.image.Descriptor.Digest, signPredicate))))
		}, trust.ErrBroken, "has 0 signatures"},
		{"bundle with two signatures", func(b *bed, m maker) {
			data := statement(b.image.Descriptor.Digest, signPredicate)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)), m.sign(pae(data)))))
		}, trust.ErrBroken, "has 2 signatures"},
		{"bundle whose signature is of the bare payload", func(b *bed, m maker) {
			data := statement(b.image.Descriptor.Digest, signPredicate)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(data))))
		}, trust.ErrOtherKey, ""},
		{"bundle with another type of payload", inBundle(signPredicate, replace("vnd.in-toto", "vnd.else")), trust.ErrBroken, "vnd.else"},
		{"bundle of another version", inBundle(signPredicate, replace("bundle.v0.3", "bundle.v0.9")), trust.ErrBroken, "v0.9"},
		{"bundle without an envelope", inBundle(signPredicate, replace("dsseEnvelope", "messageSignature")), trust.ErrBroken, "no envelope"},
		{"bundle with a certificate", inBundle(signPredicate, func(s string) string {
			s = strings.Replace(s, `"publicKey":{"hint":"abc"}`, `"certificate":{"rawBytes":"AA=="}`, 1)
			return strings.Replace(s, `"sig":"ME`, `"sig":"MA`, 1)
		}), trust.ErrOtherKey, "certificate"},
		{"truncated bundle", inBundle(signPredicate, func(s string) string { return s[:len(s)/2] }), trust.ErrBroken, ""},
		{"bundle of 2 MiB", inBundle(signPredicate, func(s string) string { return s + strings.Repeat(" ", 2<<20) }), trust.ErrBroken, "at most 1048576"},
		{"statement of another type", func(b *bed, m maker) {
			data := bytes.Replace(statement(b.image.Descriptor.Digest, signPredicate), []byte("in-toto.io"), []byte("example.com"), 1)
			b.attach(bundleType, b.push(bundleType, bundleText(data, m.sign(pae(data)))))
		}, trust.ErrBroken, "example.com"},
		{"statement that is no JSON", func(b *bed, m maker) {
			b.attach(bundleType, b.push(bundleType, bundleText([]byte("hello"), m.sign(pae([]byte("hello"))))))
		}, trust.ErrBroken, ""},
		{"manifest that is missing", func(b *bed, _ maker) {
			b.image.Attached = append(b.image.Attached, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: other, Size: 10})
		}, trust.ErrBroken, "not found"},
		{"manifest that is no JSON", func(b *bed, _ maker) {
			b.image.Attached = append(b.image.Attached, b.push("text/plain", []byte("[")))
		}, trust.ErrBroken, ""},
		{"manifest of 5 MiB", func(b *bed, _ maker) {
			b.image.Attached = append(b.image.Attached, b.push("text/plain", bytes.Repeat([]byte(" "), 5<<20)))
		}, trust.ErrBroken, "at most 4194304"},
		{"notation's without certificates", func(b *bed, _ maker) {
			b.attach("application/vnd.cncf.notary.signature", b.push(jwsType, []byte("{}")))
		}, trust.ErrOtherKey, "notation"},
	}
}

// What is wrong with a signature is said; a right one counts.
func TestRightAndWrong(t *testing.T) {
	t.Parallel()
	m := p256()
	for _, a := range attachments() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			a.attach(b, m)
			_, err := trust.Verify(t.Context(), b.store, b.image, m.policy(t))
			if a.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, a.want) || !strings.Contains(err.Error(), a.text) {
				t.Fatalf("got %v, want %v with %q", err, a.want, a.text)
			}
			for _, other := range []error{trust.ErrNoSignature, trust.ErrOtherKey, trust.ErrOtherImage, trust.ErrBroken, trust.ErrRefused} {
				if other != a.want && errors.Is(err, other) {
					t.Errorf("%v is %v, too", err, other)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("the error has control characters: %q", err)
			}
		})
	}
}

// One right signature suffices, wherever it is among wrong ones, and whatever these are.
func TestOneSuffices(t *testing.T) {
	t.Parallel()
	m := p256()
	for _, right := range attachments() {
		if right.want != nil {
			continue
		}
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %v", right.name, first), func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				if first {
					right.attach(b, m)
				}
				for _, a := range attachments()[:20] {
					if a.want != nil {
						a.attach(b, m)
					}
				}
				if !first {
					right.attach(b, m)
				}
				if _, err := trust.Verify(t.Context(), b.store, b.image, m.policy(t)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The signatures in a manifest are all tried, and the error has each.
func TestSeveralInAManifest(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	mine, others := p256(), p256()
	data := payload(b.image.Descriptor.Digest)
	b.attach("", b.simple(data, others.sign(data)), b.push("text/plain", []byte("hello")), b.simple(data, mine.sign(data)))
	for _, m := range []maker{mine, others} {
		if _, err := trust.Verify(t.Context(), b.store, b.image, m.policy(t)); err != nil {
			t.Error(err)
		}
	}
	third := p256()
	_, err := trust.Verify(t.Context(), b.store, b.image, third.policy(t))
	var e *trust.Error
	if !errors.As(err, &e) || len(e.Attempts) != 2 || e.Attempts[0].Format != trust.SimpleSigning || e.Attempts[1].Manifest != b.image.Attached[0].Digest {
		t.Errorf("got %+v", err)
	}
}

// An image without signatures is another matter than one with wrong ones.
func TestNoSignature(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := p256()
	for range 2 {
		if _, err := trust.Verify(t.Context(), b.store, b.image, m.policy(t)); err != trust.ErrNoSignature {
			t.Errorf("got %v", err)
		}
		b.attach("application/spdx+json", b.push("application/spdx+json", []byte("{}"))) // that is none
	}
	if _, err := trust.Verify(t.Context(), b.store, trust.Image{}, m.policy(t)); err == nil || errors.Is(err, trust.ErrNoSignature) {
		t.Errorf("with no image: %v", err)
	}
}

// Many signatures do not keep gizmo busy for long: it says at which it stopped.
func TestMany(t *testing.T) {
	t.Parallel()
	mine, others := p256(), p256()
	for _, what := range []string{"manifests", "signatures"} {
		b := newBed(t)
		data := payload(b.image.Descriptor.Digest)
		var layers []ocispec.Descriptor
		for range 100 {
			if layers = append(layers, b.simple(data, others.sign(data))); what == "manifests" {
				b.attach("", layers[len(layers)-1])
			}
		}
		b.attach("", append(layers, b.simple(data, mine.sign(data)))...)
		_, err := trust.Verify(t.Context(), b.store, b.image, mine.policy(t))
		var e *trust.Error
		if !errors.As(err, &e) || len(e.Attempts) > 65 {
			t.Fatalf("%s: got %v", what, err)
		}
		last := e.Attempts[len(e.Attempts)-1].Err.Error()
		if !strings.Contains(last, what+" before it") && !strings.Contains(last, what+" were before it") || !strings.HasSuffix(err.Error(), " more") || len(err.Error()) > 2000 {
			t.Errorf("%s: got %s, %v", what, last, err)
		}
	}
}

// A context that is done ends it.
func TestDone(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	m := p256()
	data := payload(b.image.Descriptor.Digest)
	b.attach("", b.simple(data, []byte("x")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trust.Verify(ctx, b.store, b.image, m.policy(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever is in a registry, nothing that no key has signed counts.
func FuzzVerify(f *testing.F) {
	others := p256()
	b := newBed(f)
	sum := b.image.Descriptor.Digest
	data := statement(sum, signPredicate)
	f.Add([]byte(`{"layers":[]}`), payload(sum))
	f.Add([]byte("null"), bundleText(data, others.sign(pae(data))))
	s := newSigner(f, signerOptions{})
	f.Add([]byte("[]"), s.jws(f, b.image.Descriptor))
	f.Add([]byte("{"), s.cose(f, b.image.Descriptor))
	mine := p256()
	policy := trust.Policy{Keys: []trust.Key{mine.key(f)}, Notation: s.other(f)}
	f.Fuzz(func(t *testing.T, manifest, part []byte) {
		b := newBed(t)
		b.image.Attached = append(b.image.Attached, b.push("text/plain", manifest)) // the store would read a manifest
		b.attach("", b.simple(part, sum256(part)))
		for _, kind := range []string{bundleType, jwsType, coseType} {
			b.attach("x/y", b.push(kind, part))
		}
		if got, err := trust.Verify(t.Context(), b.store, b.image, policy); err == nil {
			t.Fatalf("it counts: %+v", got)
		}
	})
}

func sum256(data []byte) []byte { return sum(crypto.SHA256, data) }

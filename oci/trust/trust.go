// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package trust verifies and makes signatures of images. It needs no network: a signature is a manifest with its parts, which were pulled with the image.
//
// An image is trusted if any signature of it, in any of the formats, is valid for any of the keys or certificates of a [Policy].
package trust

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// What is read of the manifests that belong to an image, so that whoever may push signatures cannot make gizmo run out of memory or time.
const (
	maxManifests  = 32      // per image
	maxSignatures = 64      // per image
	maxManifest   = 4 << 20 // bytes of a manifest
	maxPart       = 1 << 20 // bytes of a payload, bundle or envelope
)

// Image is an image whose signatures are to be verified, or that is to be signed.
type Image struct {
	// Descriptor is that of the index.
	Descriptor ocispec.Descriptor
	// Repository is where the image comes from, as in ghcr.io/inspektor-gadget/gadget/trace_open. The policies of notation depend on it. Signatures made
	// by [Sign] have it as a claim, which no verifier relies on.
	Repository string
	// Attached are the manifests that belong to the image, signatures or not.
	Attached []ocispec.Descriptor
}

// Policy says which signatures count.
type Policy struct {
	// Keys are public keys. A signature by any of them suffices.
	Keys []Key
	// Notation has the certificates of signatures in the format of notation. Nil: none of these count.
	Notation *Notation
}

// Format is the format of a signature.
type Format string

// The formats of signatures.
const (
	// SimpleSigning is the format of cosign up to version 2: a payload, whose signature is an annotation. The manifest either has the tag sha256-HEX.sig or
	// refers to the image.
	SimpleSigning Format = "cosign"
	// Bundle is the format of cosign since version 3.
	Bundle Format = "sigstore bundle"
	// NotaryProject is the format of notation.
	NotaryProject Format = "notation"
)

// Result says why an image is trusted.
type Result struct {
	Format Format
	// Key is the key whose signature is valid. Nil: it is a signature of notation.
	Key *Key
	// Certificate is that of the signer. Nil: the signature was made with a key.
	Certificate *x509.Certificate
	// Manifest is the manifest with the signature.
	Manifest digest.Digest
}

// Signer names the key or the certificate.
func (r *Result) Signer() string {
	if r.Certificate != nil {
		return "the certificate of " + plain.Text(r.Certificate.Subject.String())
	}
	return r.Key.String()
}

// What is wrong with an image, or with one of its signatures. Errors wrap these.
var (
	ErrNoSignature = errors.New("the image has no signature")
	ErrOtherKey    = errors.New("signed by another key")
	ErrOtherImage  = errors.New("is about another image")
	ErrBroken      = errors.New("broken")
	// ErrRefused is about signatures of notation that are right, but that the policy document does not allow, such as those that have expired.
	ErrRefused = errors.New("the policy refuses it")
)

// Attempt is a signature that does not count.
type Attempt struct {
	Format   Format // empty: unknown
	Manifest digest.Digest
	Err      error
}

// Error is returned by [Verify] if signatures of an image were found, but none that counts. It wraps the errors of all attempts.
type Error struct {
	Attempts []Attempt
}

// Error lists what was tried, and why it does not count.
func (e *Error) Error() string {
	const most = 8
	var b strings.Builder
	b.WriteString("none of the image's signatures is accepted:")
	for i, a := range e.Attempts {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Attempts)-most)
			break
		}
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s: %v", strings.TrimSpace(string(a.Format)+" "+short(a.Manifest)), a.Err)
	}
	return b.String()
}

// Unwrap returns the errors of all attempts.
func (e *Error) Unwrap() []error {
	all := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		all[i] = a.Err
	}
	return all
}

// short is a digest as people read it.
func short(d digest.Digest) string {
	_, hex, _ := strings.Cut(d.String(), ":")
	return plain.Text(hex[:min(12, len(hex))])
}

// Verify looks for a signature of an image that counts, among the manifests that belong to it. If there is none, the error wraps [ErrNoSignature], or it is
// an [*Error] that says what is wrong with each signature.
func Verify(ctx context.Context, from content.Fetcher, image Image, policy Policy) (Result, error) {
	if err := image.Descriptor.Digest.Validate(); err != nil {
		return Result{}, fmt.Errorf("verify the image: %w", err)
	}
	v := verifier{ctx: ctx, from: from, image: image, policy: policy}
	for i, d := range image.Attached {
		if i == maxManifests {
			v.fail("", d.Digest, fmt.Errorf("not looked at, as %d manifests before it belong to the image, too", maxManifests))
			break
		}
		if result, ok := v.manifest(d); ok {
			return result, nil
		}
		if err := ctx.Err(); err != nil {
			return Result{}, fmt.Errorf("verify the image: %w", err)
		}
	}
	if len(v.attempts) == 0 {
		return Result{}, ErrNoSignature
	}
	return Result{}, &Error{v.attempts}
}

// verifier goes through the signatures of an image.
type verifier struct {
	ctx      context.Context
	from     content.Fetcher
	image    Image
	policy   Policy
	count    int // of signatures
	attempts []Attempt
}

func (v *verifier) fail(format Format, manifest digest.Digest, err error) {
	v.attempts = append(v.attempts, Attempt{format, manifest, err})
}

// manifest tries the signatures of a manifest. What kind they are is up to their media types: that of the manifest is missing in descriptors that come
// from tags.
func (v *verifier) manifest(d ocispec.Descriptor) (Result, bool) {
	data, err := v.fetch(d, maxManifest)
	if err != nil {
		v.fail("", d.Digest, err)
		return Result{}, false
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		v.fail("", d.Digest, broken(err))
		return Result{}, false
	}
	for _, part := range m.Layers {
		format, verify := v.methodOf(part)
		if verify == nil {
			continue // no signature
		}
		if v.count++; v.count > maxSignatures {
			v.fail(format, d.Digest, fmt.Errorf("not looked at, as %d signatures were before it", maxSignatures))
			break
		}
		result, err := verify(part)
		if err != nil {
			v.fail(format, d.Digest, err)
			continue
		}
		result.Format, result.Manifest = format, d.Digest
		return result, true
	}
	return Result{}, false
}

// methodOf returns how to verify a part of a manifest. Nil: it is no signature.
func (v *verifier) methodOf(part ocispec.Descriptor) (Format, func(ocispec.Descriptor) (Result, error)) {
	switch part.MediaType {
	case simpleSigningType:
		return SimpleSigning, v.simpleSigning
	case bundleType:
		return Bundle, v.bundle
	case jwsType, coseType:
		return NotaryProject, v.notation
	}
	return "", nil
}

// fetch reads a part of limited size, and checks its digest.
func (v *verifier) fetch(d ocispec.Descriptor, limit int64) ([]byte, error) {
	if d.Size < 0 || d.Size > limit {
		return nil, fmt.Errorf("%w: a part of it has %d bytes, and gizmo reads at most %d", ErrBroken, d.Size, limit)
	}
	if err := d.Digest.Validate(); err != nil {
		return nil, broken(err)
	}
	data, err := content.FetchAll(v.ctx, v.from, d)
	if err != nil {
		return nil, broken(err)
	}
	return data, nil
}

// broken returns an error about a signature that cannot be read.
func broken(err error) error { return fmt.Errorf("%w: %w", ErrBroken, plain.Error(err)) }

// quote returns text that others chose for a message, not all of it if it is long.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most] + "..."
	}
	return `"` + plain.Text(s) + `"`
}

// otherKey is the error about a signature by none of the keys.
func (v *verifier) otherKey() error {
	switch n := len(v.policy.Keys); n {
	case 0:
		return fmt.Errorf("%w: gizmo was given no key", ErrOtherKey)
	case 1:
		return fmt.Errorf("%w than %s", ErrOtherKey, v.policy.Keys[0].String())
	default:
		return fmt.Errorf("%w than the %d that gizmo was given", ErrOtherKey, n)
	}
}

// checkSubject compares what a signature is about with the image.
func (v *verifier) checkSubject(signed string) error {
	if signed != v.image.Descriptor.Digest.String() {
		return fmt.Errorf("%w: %s", ErrOtherImage, quote(signed))
	}
	return nil
}

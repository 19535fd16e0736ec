// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// statementType is the type of what the envelope of a bundle has inside.
	statementType = "application/vnd.in-toto+json"
	// statementVersions is what the types of statements begin with.
	statementVersions = "https://in-toto.io/Statement/"
	// signPredicate is what cosign states about an image that it signs. Statements of other kinds, such as the result of a scan, can be about a bad image.
	signPredicate = "https://sigstore.dev/cosign/sign/v1"
)

// bundle is a bundle, as far as it is read. JSON has bytes in base64.
type bundle struct {
	MediaType string               `json:"mediaType"`
	Material  verificationMaterial `json:"verificationMaterial"`
	Envelope  *envelope            `json:"dsseEnvelope"`
}

// verificationMaterial says by what a bundle can be verified. It is not signed, and gizmo relies on its own keys instead.
type verificationMaterial struct {
	PublicKey   *publicKeyHint  `json:"publicKey,omitempty"`
	Certificate json.RawMessage `json:"certificate,omitempty"`
	Chain       json.RawMessage `json:"x509CertificateChain,omitempty"`
}

type publicKeyHint struct {
	Hint string `json:"hint,omitempty"`
}

// envelope is an envelope in the format DSSE.
type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	Sig []byte `json:"sig"`
}

// signed returns the bytes that are signed: type and payload with their lengths.
func (e *envelope) signed() []byte {
	b := []byte("DSSEv1 ")
	for i, s := range []string{e.PayloadType, string(e.Payload)} {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ' '), s...)
	}
	return b
}

// statement says something about subjects.
type statement struct {
	Type          string          `json:"_type"`
	Subject       []subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

type subject struct {
	Digest map[string]string `json:"digest"`
}

// bundle verifies a bundle.
func (v *verifier) bundle(part ocispec.Descriptor) (Result, error) {
	data, err := v.fetch(part, maxPart)
	if err != nil {
		return Result{}, err
	}
	b, err := parseBundle(data)
	if err != nil {
		return Result{}, err
	}
	key := signerOf(v.policy.Keys, b.Envelope.signed(), b.Envelope.Signatures[0].Sig)
	if key == nil {
		if b.Material.Certificate != nil || b.Material.Chain != nil {
			return Result{}, withCertificate()
		}
		return Result{}, v.otherKey()
	}
	s, err := parseStatement(b.Envelope.Payload)
	if err != nil {
		return Result{}, err
	}
	return Result{Key: key}, v.checkSubjects(s)
}

// parseBundle reads a bundle that has an envelope with one signature: the format allows no more.
func parseBundle(data []byte) (*bundle, error) {
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, broken(err)
	}
	switch {
	case b.MediaType != bundleType:
		return nil, fmt.Errorf("%w: the bundle is a %s", ErrBroken, quote(b.MediaType))
	case b.Envelope == nil:
		return nil, fmt.Errorf("%w: the bundle has no envelope", ErrBroken)
	case len(b.Envelope.Signatures) != 1:
		return nil, fmt.Errorf("%w: the bundle has %d signatures instead of one", ErrBroken, len(b.Envelope.Signatures))
	case b.Envelope.PayloadType != statementType:
		return nil, fmt.Errorf("%w: the envelope has a %s", ErrBroken, quote(b.Envelope.PayloadType))
	}
	return &b, nil
}

// parseStatement reads what a key has signed.
func parseStatement(data []byte) (*statement, error) {
	var s statement
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, broken(err)
	}
	switch {
	case !strings.HasPrefix(s.Type, statementVersions):
		return nil, fmt.Errorf("%w: what was signed is a %s", ErrBroken, quote(s.Type))
	case s.PredicateType != signPredicate:
		return nil, fmt.Errorf("%w: what was signed is no signature of an image, but a statement about one: %s", ErrRefused, quote(s.PredicateType))
	}
	return &s, nil
}

// checkSubjects looks for the image among the subjects of a statement, of which it is true for each.
func (v *verifier) checkSubjects(s *statement) error {
	signed := "nothing"
	for _, sub := range s.Subject {
		for algorithm, sum := range sub.Digest {
			if signed = algorithm + ":" + sum; v.checkSubject(signed) == nil {
				return nil
			}
		}
	}
	return v.checkSubject(signed)
}

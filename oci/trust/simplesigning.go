// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	simpleSigningType = "application/vnd.dev.cosign.simplesigning.v1+json"
	// simpleSigningKind is what payloads of cosign say that they are.
	simpleSigningKind = "cosign container image signature"
	// signatureAnnotation is the annotation of a payload with its signature, in base64.
	signatureAnnotation = "dev.cosignproject.cosign/signature"
	// certificateAnnotation is that with the certificate, if the signature was made with one.
	certificateAnnotation = "dev.sigstore.cosign/certificate"
)

// payload is what is signed. Marshaled it has the same bytes as that of cosign.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]json.RawMessage `json:"optional"`
}

// simpleSigning verifies a payload.
func (v *verifier) simpleSigning(part ocispec.Descriptor) (Result, error) {
	text := part.Annotations[signatureAnnotation]
	if text == "" {
		return Result{}, fmt.Errorf("%w: the payload has no signature", ErrBroken)
	}
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Result{}, broken(err)
	}
	data, err := v.fetch(part, maxPart)
	if err != nil {
		return Result{}, err
	}
	key := signerOf(v.policy.Keys, data, signature)
	if key == nil {
		if part.Annotations[certificateAnnotation] != "" {
			return Result{}, withCertificate()
		}
		return Result{}, v.otherKey()
	}
	p, err := parsePayload(data)
	if err != nil {
		return Result{}, err
	}
	return Result{Key: key}, v.checkSubject(p.Critical.Image.Digest)
}

// withCertificate is the error about a signature by none of the keys that has a certificate.
func withCertificate() error {
	return fmt.Errorf("%w: that of a certificate, as in keyless signing, which gizmo does not verify", ErrOtherKey)
}

// parsePayload reads what a key has signed.
func parsePayload(data []byte) (p payload, err error) {
	if err := json.Unmarshal(data, &p); err != nil {
		return p, broken(err)
	}
	if p.Critical.Type != simpleSigningKind {
		return p, fmt.Errorf("%w: what was signed is a %s", ErrBroken, quote(p.Critical.Type))
	}
	return p, nil
}

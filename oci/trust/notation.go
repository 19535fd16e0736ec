// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/notaryproject/notation-core-go/revocation"
	revocationresult "github.com/notaryproject/notation-core-go/revocation/result"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	notation "github.com/notaryproject/notation-go"
	notationverifier "github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	gocose "github.com/veraison/go-cose"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

const (
	jwsType  = jws.MediaTypeEnvelope
	coseType = cose.MediaTypeEnvelope
)

// maxPolicy is how large a policy document may be, in bytes.
const maxPolicy = 1 << 20

// Notation has a policy document of the Notary Project and its certificates.
type Notation struct {
	verifier notation.Verifier
}

// ParseNotation reads a policy document, which is JSON, and certificates in PEM. The certificates are in each trust store of the types ca and
// signingAuthority that the document names; those of authorities that say when a signature was made are in each of type tsa.
func ParseNotation(document, certificates, timestampCertificates string) (*Notation, error) {
	n, err := parseNotation(document, certificates, timestampCertificates)
	if err != nil {
		return nil, fmt.Errorf("read the policy of notation: %w", err)
	}
	return n, nil
}

func parseNotation(document, certificates, timestampCertificates string) (*Notation, error) {
	if len(document) > maxPolicy {
		return nil, fmt.Errorf("it has %d bytes, and gizmo reads at most %d", len(document), maxPolicy)
	}
	var d trustpolicy.Document
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		return nil, err
	}
	signers, err := parseCertificates(certificates)
	if err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return nil, errors.New("there are no certificates")
	}
	timestamps, err := parseCertificates(timestampCertificates)
	if err != nil {
		return nil, err
	}
	// The library would ask servers whether a certificate was revoked.
	o := notationverifier.VerifierOptions{RevocationCodeSigningValidator: offline{}, RevocationTimestampingValidator: offline{}}
	v, err := notationverifier.NewWithOptions(&d, &certificateStores{signers, timestamps}, nil, o)
	if err != nil {
		return nil, err
	}
	return &Notation{v}, checkLevels(&d)
}

// checkLevels refuses policies with which the signature of anybody counts.
func checkLevels(d *trustpolicy.Document) error {
	for _, p := range d.TrustPolicies {
		level, err := p.SignatureVerification.GetVerificationLevel()
		if err != nil {
			return err
		}
		if level.Enforcement[trustpolicy.TypeAuthenticity] != trustpolicy.ActionEnforce {
			return fmt.Errorf("with the level %s of the policy %s, everybody's signatures count; the levels strict and permissive are supported",
				quote(level.Name), quote(p.Name))
		}
	}
	return nil
}

func parseCertificates(text string) (all []*x509.Certificate, err error) {
	if len(text) > maxKeys {
		return nil, fmt.Errorf("the certificates have %d bytes, and gizmo reads at most %d", len(text), maxKeys)
	}
	if text == "" {
		return nil, nil
	}
	err = eachBlock([]byte(text), func(b *pem.Block) error {
		if b.Type != "CERTIFICATE" {
			return fmt.Errorf("there is a %s among the certificates", quote(b.Type))
		}
		c, err := x509.ParseCertificate(b.Bytes)
		all = append(all, c)
		return err
	})
	if err == nil {
		err = truststore.ValidateCertificates(all)
	}
	return all, err
}

// certificateStores are the trust stores that policies name.
type certificateStores struct {
	signers, timestamps []*x509.Certificate
}

// GetCertificates implements truststore.X509TrustStore.
func (s *certificateStores) GetCertificates(_ context.Context, kind truststore.Type, _ string) ([]*x509.Certificate, error) {
	if kind == truststore.TypeTSA {
		return s.timestamps, nil
	}
	return s.signers, nil
}

// offline implements revocation.Validator. It does not ask whether certificates were revoked. Those that say nothing about whom to ask are fine; whether
// others pass is up to the policy.
type offline struct{}

func (offline) ValidateContext(_ context.Context, o revocation.ValidateContextOptions) ([]*revocationresult.CertRevocationResult, error) {
	all := make([]*revocationresult.CertRevocationResult, len(o.CertChain))
	for i, c := range o.CertChain {
		state := revocationresult.ResultNonRevokable
		if len(c.OCSPServer)+len(c.CRLDistributionPoints) > 0 && i < len(o.CertChain)-1 { // the last is trusted as such
			state = revocationresult.ResultUnknown
		}
		all[i] = &revocationresult.CertRevocationResult{Result: state, ServerResults: []*revocationresult.ServerResult{{Result: state}}}
	}
	return all, nil
}

// unnamed stands for images without a repository, which only policies for all images are about.
const unnamed = "localhost/image"

// notation verifies an envelope of notation.
func (v *verifier) notation(part ocispec.Descriptor) (Result, error) {
	if v.policy.Notation == nil {
		return Result{}, fmt.Errorf("%w: gizmo was given no certificates and policy for signatures of notation", ErrOtherKey)
	}
	data, err := v.fetch(part, maxPart)
	if err != nil {
		return Result{}, err
	}
	if err := checkChain(part.MediaType, data); err != nil {
		return Result{}, err
	}
	repository := v.image.Repository
	if repository == "" {
		repository = unnamed
	}
	target := ocispec.Descriptor{MediaType: v.image.Descriptor.MediaType, Digest: v.image.Descriptor.Digest, Size: v.image.Descriptor.Size}
	outcome, err := v.policy.Notation.verifier.Verify(v.ctx, target, data, notation.VerifierVerifyOptions{
		ArtifactReference: repository + "@" + target.Digest.String(), SignatureMediaType: part.MediaType,
	})
	if err != nil {
		return Result{}, v.whyNot(outcome, err)
	}
	signer := &outcome.EnvelopeContent.SignerInfo
	if err := checkCritical(signer); err != nil {
		return Result{}, err
	}
	return Result{Certificate: signer.CertificateChain[0]}, nil
}

// maxChain is how many certificates an envelope may have. Real ones have two to four.
const maxChain = 16

// checkChain refuses envelopes whose certificates would keep the library busy for hours: the time for an RSA key grows with the square of its size.
func checkChain(mediaType string, data []byte) error {
	chain, err := chainOf(mediaType, data)
	if err != nil {
		return broken(err)
	}
	if len(chain) > maxChain {
		return fmt.Errorf("%w: it has %d certificates, and gizmo reads at most %d", ErrBroken, len(chain), maxChain)
	}
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return broken(err)
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSA {
			return fmt.Errorf("%w: it has an RSA key of %d bits, and gizmo uses keys of at most %d", ErrBroken, key.N.BitLen(), maxRSA)
		}
	}
	return nil
}

// chainOf returns the certificates of an envelope.
func chainOf(mediaType string, data []byte) ([][]byte, error) {
	if mediaType == jwsType {
		var e struct {
			Header struct {
				Chain [][]byte `json:"x5c"`
			} `json:"header"`
		}
		err := json.Unmarshal(data, &e)
		return e.Header.Chain, err
	}
	var m gocose.Sign1Message
	if err := m.UnmarshalCBOR(data); err != nil {
		return nil, err
	}
	all, _ := m.Headers.Unprotected[gocose.HeaderLabelX5Chain].([]any) // the library wants this type, too
	chain := make([][]byte, len(all))
	for i := range all {
		chain[i], _ = all[i].([]byte) // something else is no certificate
	}
	return chain, nil
}

// checkCritical refuses signatures that must not count unless a verifier knows an attribute that gizmo does not know.
func checkCritical(signer *signature.SignerInfo) error {
	for _, a := range signer.SignedAttributes.ExtendedAttributes {
		if a.Critical {
			return fmt.Errorf("%w: gizmo does not know the attribute %s", ErrRefused, quote(fmt.Sprint(a.Key)))
		}
	}
	return nil
}

// whyNot returns an error in the terms of this package.
func (v *verifier) whyNot(outcome *notation.VerificationOutcome, err error) error {
	err = plain.Error(err)
	if outcome == nil { // no policy is for this image
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	for _, r := range outcome.VerificationResults {
		if r.Error == nil || r.Action != trustpolicy.ActionEnforce {
			continue
		}
		switch r.Type {
		case trustpolicy.TypeIntegrity:
			return broken(err)
		case trustpolicy.TypeAuthenticity:
			return fmt.Errorf("%w: %w", ErrOtherKey, err)
		case trustpolicy.TypeRevocation:
			return fmt.Errorf("%w: it asks whether certificates were revoked, and gizmo does not ask their servers; "+
				"the override \"revocation\": \"skip\" of the policy leaves that out: %w", ErrRefused, err)
		}
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if outcome.EnvelopeContent == nil {
		return broken(err)
	}
	if err := checkCritical(&outcome.EnvelopeContent.SignerInfo); err != nil { // the library wants a plugin for it
		return err
	}
	var p struct {
		Target ocispec.Descriptor `json:"targetArtifact"`
	}
	if json.Unmarshal(outcome.EnvelopeContent.Payload.Content, &p) == nil {
		if err := v.checkSubject(p.Target.Digest.String()); err != nil {
			return err
		}
	}
	return broken(err)
}

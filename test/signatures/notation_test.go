// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package signatures

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	notation "github.com/notaryproject/notation-go"
	notationregistry "github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/tspclient-go"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// holder has a key, and a certificate of a root that it has, too.
type holder struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

func newHolder(t *testing.T, key crypto.Signer, use x509.ExtKeyUsage, lasts time.Duration) *holder {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := func(name string) pkix.Name {
		return pkix.Name{Country: []string{"AQ"}, Province: []string{"Ross"}, Organization: []string{"penguins"}, CommonName: name}
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name("root"), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(max(lasts, time.Hour)),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: name("leaf"), NotBefore: root.NotBefore, NotAfter: time.Now().Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{use},
	}
	if use == x509.ExtKeyUsageTimeStamping { // only this one, and critical
		leaf.ExtKeyUsage = nil
		leaf.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8}}}
	}
	h := &holder{key: key}
	for _, c := range []struct {
		template, parent *x509.Certificate
		public           crypto.PublicKey
	}{{leaf, root, key.Public()}, {root, root, rootKey.Public()}} {
		der, err := x509.CreateCertificate(rand.Reader, c.template, c.parent, c.public, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		h.chain = append(h.chain, certificate)
	}
	return h
}

// root returns the certificate to trust.
func (h *holder) root() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.chain[1].Raw}))
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// notationSign lets the library of notation sign the image in the registry.
func (b *bed) notationSign(h *holder, o notation.SignerSignOptions) {
	b.t.Helper()
	s, err := signer.NewGenericSigner(h.key, h.chain)
	if err != nil {
		b.t.Fatal(err)
	}
	repository, err := remote.NewRepository(b.name.Path())
	if err != nil {
		b.t.Fatal(err)
	}
	repository.PlainHTTP = true
	_, err = notation.Sign(b.t.Context(), s, notationregistry.NewRepository(repository), notation.SignOptions{
		SignerSignOptions: o, ArtifactReference: b.digested(), UserMetadata: map[string]string{"build": "1"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

const policyDocument = `{"version":"1.0","trustPolicies":[{"name":"gadgets","registryScopes":["%s"],"signatureVerification":{"level":"strict"},
	"trustStores":["ca:penguins"%s],"trustedIdentities":["x509.subject: C=AQ, ST=Ross, O=penguins"]}]}`

// document returns a policy document; stores are more stores of it.
func document(scope, stores string) string { return fmt.Sprintf(policyDocument, scope, stores) }

func (b *bed) notationPolicy(signer, stores, stamper string) trust.Policy {
	b.t.Helper()
	n, err := trust.ParseNotation(document(b.name.Path(), stores), signer, stamper)
	if err != nil {
		b.t.Fatal(err)
	}
	return trust.Policy{Notation: n}
}

// gizmo verifies what notation signs.
func TestNotationSigns(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"EC": ecKey(t), "RSA": rsaKey} {
		for _, kind := range []string{"application/jose+json", "application/cose"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				b := newBed(t)
				mine := newHolder(t, key, x509.ExtKeyUsageCodeSigning, time.Hour)
				other := newHolder(t, ecKey(t), x509.ExtKeyUsageCodeSigning, time.Hour)
				b.notationSign(other, notation.SignerSignOptions{SignatureMediaType: kind}) // another referrer of the same type
				b.notationSign(mine, notation.SignerSignOptions{SignatureMediaType: kind, ExpiryDuration: time.Hour})
				for _, h := range []*holder{mine, other} {
					got, err := b.verify(b.notationPolicy(h.root(), "", ""))
					if err != nil {
						t.Fatal(err)
					}
					if got.Format != trust.NotaryProject || !got.Certificate.Equal(h.chain[0]) {
						t.Errorf("got %+v", got)
					}
				}
				third := newHolder(t, ecKey(t), x509.ExtKeyUsageCodeSigning, time.Hour)
				if _, err := b.verify(b.notationPolicy(third.root(), "", "")); !errors.Is(err, trust.ErrOtherKey) {
					t.Errorf("by another certificate: %v", err)
				}
			})
		}
	}
}

// stamper confirms when something was signed.
type stamper struct{ h *holder }

func (s stamper) Timestamp(_ context.Context, r *tspclient.Request) (*tspclient.Response, error) {
	ts := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: r.MessageImprint.HashedMessage, Time: time.Now(), Nonce: r.Nonce, Policy: []int{1, 2, 3},
		AddTSACertificate: true,
	}
	data, err := ts.CreateResponseWithOpts(s.h.chain[0], s.h.key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var response tspclient.Response
	return &response, response.UnmarshalBinary(data)
}

// A certificate may have expired if an authority that is trusted, too, confirms that the signature is older.
func TestTimestamp(t *testing.T) {
	for _, kind := range []string{"application/jose+json", "application/cose"} {
		b := newBed(t)
		const lasts, stores = 3 * time.Second, `,"tsa:penguins"`
		mine := newHolder(t, ecKey(t), x509.ExtKeyUsageCodeSigning, lasts)
		authority := newHolder(t, ecKey(t), x509.ExtKeyUsageTimeStamping, time.Hour)
		roots := x509.NewCertPool()
		roots.AddCert(authority.chain[1])
		b.notationSign(mine, notation.SignerSignOptions{SignatureMediaType: kind, Timestamper: stamper{authority}, TSARootCAs: roots})
		if _, err := b.verify(b.notationPolicy(mine.root(), stores, authority.root())); err != nil {
			t.Errorf("%s, before the end: %v", kind, err)
		}
		time.Sleep(lasts)
		if _, err := b.verify(b.notationPolicy(mine.root(), stores, authority.root())); err != nil {
			t.Errorf("%s, after the end: %v", kind, err)
		}
		other := newHolder(t, ecKey(t), x509.ExtKeyUsageTimeStamping, time.Hour)
		for name, root := range map[string]string{"another authority": other.root(), "no authority": "", "the signer as authority": mine.root()} {
			if _, err := b.verify(b.notationPolicy(mine.root(), stores, root)); !errors.Is(err, trust.ErrRefused) {
				t.Errorf("%s, with %s: %v", kind, name, err)
			}
		}
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/veraison/go-cose"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

// signerOptions are what may be wrong with a signer and what it signs. Zero: nothing.
type signerOptions struct {
	expired   bool // the certificate has
	lasts     time.Duration
	crl       bool // the certificate says where to ask whether it was revoked
	extra     []signature.Attribute
	digest    string // of another image
	authority bool
}

// signer makes signatures as notation does, with a certificate and its root.
type signer struct {
	o     signerOptions
	key   *ecdsa.PrivateKey
	chain []*x509.Certificate
}

func newSigner(t testing.TB, o signerOptions) *signer {
	t.Helper()
	rootKey := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	s := &signer{o: o, key: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	begin, end := time.Now().Add(-48*time.Hour), time.Now().Add(time.Hour)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Country: []string{"AQ"}, Province: []string{"Ross"}, Organization: []string{"root"}, CommonName: "root"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	if o.expired {
		end = time.Now().Add(-24 * time.Hour)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{Country: []string{"AQ"}, Province: []string{"Ross"}, Organization: []string{"penguins"}, CommonName: "leaf"}, NotBefore: begin, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true,
	}
	if o.crl {
		leaf.CRLDistributionPoints = []string{"http://127.0.0.1:1/crl"}
	}
	rootCertificate := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey))))
	leafCertificate := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, leaf, rootCertificate, s.key.Public(), rootKey))))
	s.chain = []*x509.Certificate{leafCertificate, rootCertificate}
	return s
}

// root returns the certificate to trust.
func (s *signer) root() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.chain[1].Raw}))
}

func (s *signer) envelope(t testing.TB, mediaType string, image ocispec.Descriptor) []byte {
	t.Helper()
	if s.o.digest != "" {
		image = ocispec.Descriptor{MediaType: image.MediaType, Size: image.Size, Digest: "sha256:" + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}
	}
	e, err := signature.NewEnvelope(mediaType)
	if err != nil {
		t.Fatal(err)
	}
	local, err := signature.NewLocalSigner(s.chain, s.key)
	if err != nil {
		t.Fatal(err)
	}
	scheme := signature.SigningSchemeX509
	when := time.Now()
	if s.o.authority {
		scheme = signature.SigningSchemeX509SigningAuthority
	}
	var expiry time.Time
	if s.o.lasts > 0 {
		expiry = when.Add(s.o.lasts)
	}
	if s.o.expired {
		when = when.Add(-36 * time.Hour)
	}
	data, err := e.Sign(&signature.SignRequest{
		Payload: signature.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: must(json.Marshal(map[string]any{"targetArtifact": image}))},
		Signer:  local, SigningTime: when, Expiry: expiry, SigningScheme: scheme, SigningAgent: "test", ExtendedSignedAttributes: s.o.extra,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *signer) jws(t testing.TB, image ocispec.Descriptor) []byte {
	return s.envelope(t, jwsType, image)
}
func (s *signer) cose(t testing.TB, image ocispec.Descriptor) []byte {
	return s.envelope(t, coseType, image)
}

// other returns a policy by which this signer does not count.
func (s *signer) other(t testing.TB) *trust.Notation {
	return newSigner(t, signerOptions{}).notation(t, policyDocument("strict", "*", "*"))
}

// notation returns a policy that trusts the signer's root.
func (s *signer) notation(t testing.TB, document string) *trust.Notation {
	t.Helper()
	n, err := trust.ParseNotation(document, s.root(), "")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func policyDocument(level, scope, identity string) string {
	return fmt.Sprintf(`{"version":"1.0","trustPolicies":[{"name":"gadgets","registryScopes":[%q],"signatureVerification":{"level":%q},`+
		`"trustStores":["ca:penguins","signingAuthority:penguins"],"trustedIdentities":[%q]}]}`, scope, level, identity)
}

// Signatures of notation count if the policy allows them.
func TestNotation(t *testing.T) {
	t.Parallel()
	strict := policyDocument("strict", "*", "*")
	for _, c := range []struct {
		name   string
		o      signerOptions
		policy string
		want   error
		text   string
	}{
		{"strict", signerOptions{}, strict, nil, ""},
		{"signing authority", signerOptions{authority: true}, strict, nil, ""},
		{"permissive", signerOptions{}, policyDocument("permissive", "*", "*"), nil, ""},
		{"scope", signerOptions{}, policyDocument("strict", "ghcr.io/some/gadget", "*"), nil, ""},
		{"other scope", signerOptions{}, policyDocument("strict", "ghcr.io/some/other", "*"), trust.ErrRefused, "no applicable trust policy"},
		{"identity", signerOptions{}, policyDocument("strict", "*", "x509.subject: C=AQ, ST=Ross, O=penguins"), nil, ""},
		{"other identity", signerOptions{}, policyDocument("strict", "*", "x509.subject: C=AQ, ST=Ross, O=seals"), trust.ErrOtherKey, "identities"},
		{"other image", signerOptions{digest: "x"}, strict, trust.ErrOtherImage, "sha256:00112233"},
		{"expired certificate", signerOptions{expired: true}, strict, trust.ErrRefused, "expired at"},
		{"expired certificate, permissive", signerOptions{expired: true}, policyDocument("permissive", "*", "*"), nil, ""},
		{"expired certificate of an authority", signerOptions{expired: true, authority: true}, strict, nil, ""},
		{"expired signature", signerOptions{lasts: time.Second}, strict, trust.ErrRefused, "has expired"},
		{"revocable certificate", signerOptions{crl: true}, strict, trust.ErrRefused, "revoked"},
		{"revocable certificate, override", signerOptions{crl: true}, strings.Replace(strict, `"level":"strict"`, `"level":"strict","override":{"revocation":"skip"}`, 1), nil, ""},
		{"unknown attribute", signerOptions{extra: []signature.Attribute{{Key: "penguin", Value: "x", Critical: false}}}, strict, nil, ""},
		{"unknown critical attribute", signerOptions{extra: []signature.Attribute{{Key: "penguin", Value: "x", Critical: true}}}, strict, trust.ErrRefused, "penguin"},
		{"plugin", signerOptions{extra: []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Value: "x", Critical: true}}}, strict, trust.ErrRefused, "verificationPlugin"},
	} {
		for _, kind := range []string{jwsType, coseType} {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				s := newSigner(t, c.o)
				b.attach("application/vnd.cncf.notary.signature", b.push(kind, s.envelope(t, kind, b.image.Descriptor)))
				time.Sleep(c.o.lasts)
				got, err := trust.Verify(t.Context(), b.store, b.image, trust.Policy{Notation: s.notation(t, c.policy)})
				if c.want != nil {
					if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
						t.Fatalf("got %v, want %v with %q", err, c.want, c.text)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got.Format != trust.NotaryProject || got.Key != nil || !strings.Contains(got.Signer(), "O=penguins") {
					t.Errorf("got %+v: %s", got, got.Signer())
				}
			})
		}
	}
}

// Signatures that are damaged, or by others, do not count.
func TestWrongNotation(t *testing.T) {
	t.Parallel()
	s := newSigner(t, signerOptions{})
	policy := trust.Policy{Notation: s.notation(t, policyDocument("strict", "*", "*"))}
	for _, kind := range []string{jwsType, coseType} {
		b := newBed(t)
		right := s.envelope(t, kind, b.image.Descriptor)
		var changed []byte
		if kind == jwsType {
			var e map[string]any
			must(0, json.Unmarshal(right, &e))
			data := string(must(base64.RawURLEncoding.DecodeString(e["payload"].(string))))
			e["payload"] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(data, "sha256:", "sha256:0", 1)))
			changed = must(json.Marshal(e))
		} else {
			changed = []byte(strings.Replace(string(right), `"sha256:`, `"sha257:`, 1))
		}
		for name, c := range map[string]struct {
			data []byte
			want error
		}{
			"foreign":   {newSigner(t, signerOptions{}).envelope(t, kind, b.image.Descriptor), trust.ErrOtherKey},
			"changed":   {changed, trust.ErrBroken},
			"truncated": {right[:len(right)-20], trust.ErrBroken},
			"empty":     {nil, trust.ErrBroken},
			"long":      {append(right[:len(right):len(right)], make([]byte, 2<<20)...), trust.ErrBroken},
		} {
			b := newBed(t)
			b.attach("application/vnd.cncf.notary.signature", b.push(kind, c.data))
			_, err := trust.Verify(t.Context(), b.store, b.image, policy)
			if !errors.Is(err, c.want) {
				t.Errorf("%s %s: got %v, want %v", kind, name, err, c.want)
			}
			b.attach("application/vnd.cncf.notary.signature", b.push(kind, right)) // another referrer of the same type
			if _, err := trust.Verify(t.Context(), b.store, b.image, policy); err != nil {
				t.Errorf("%s %s and a right one: %v", kind, name, err)
			}
		}
	}
}

// Certificates with enormous keys, and very many, do not keep gizmo busy.
func TestEnormousCertificates(t *testing.T) {
	t.Parallel()
	s := newSigner(t, signerOptions{})
	policy := trust.Policy{Notation: s.notation(t, policyDocument("strict", "*", "*"))}
	// The leaf says that it is by an RSA key, and the next certificate says that it has that.
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	issuer, leaf := *s.chain[1], *s.chain[0]
	issuer.PublicKey, issuer.SignatureAlgorithm, leaf.SignatureAlgorithm = nil, 0, 0
	signed := must(x509.CreateCertificate(rand.Reader, &leaf, &issuer, s.key.Public(), rsaKey))
	n := new(big.Int).Lsh(big.NewInt(1), 400_000) // bits
	enormous := must(x509.CreateCertificate(rand.Reader, &issuer, &issuer, &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 1<<31 - 1}, rsaKey))
	var many [][]byte
	for range 17 {
		many = append(many, s.chain[0].Raw)
	}
	for want, chain := range map[string][][]byte{
		"RSA key of 400001 bits": {signed, enormous}, "has 17 certificates": many, "malformed certificate": {nil}, "is not present": nil,
	} {
		for _, kind := range []string{jwsType, coseType} {
			b := newBed(t)
			data := withChain(t, kind, s.envelope(t, kind, b.image.Descriptor), chain)
			b.attach("application/vnd.cncf.notary.signature", b.push(kind, data))
			before := time.Now()
			_, err := trust.Verify(t.Context(), b.store, b.image, policy)
			if !errors.Is(err, trust.ErrBroken) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", kind, err, want)
			}
			if took := time.Since(before); took > 5*time.Second {
				t.Errorf("%s %s: it takes %v", kind, want, took)
			}
		}
	}
}

// withChain puts other certificates into an envelope.
func withChain(t *testing.T, kind string, data []byte, chain [][]byte) []byte {
	t.Helper()
	if kind == jwsType {
		var e map[string]any
		must(0, json.Unmarshal(data, &e))
		e["header"].(map[string]any)["x5c"] = chain
		return must(json.Marshal(e))
	}
	var m cose.Sign1Message
	must(0, m.UnmarshalCBOR(data))
	var all []any
	for _, der := range chain {
		all = append(all, der)
	}
	m.Headers.RawUnprotected = nil
	m.Headers.Unprotected[cose.HeaderLabelX5Chain] = all
	if all == nil {
		delete(m.Headers.Unprotected, cose.HeaderLabelX5Chain)
	}
	return must(m.MarshalCBOR())
}

// Without a repository only policies for all are for the image.
func TestNotationWithoutARepository(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.image.Repository = ""
	s := newSigner(t, signerOptions{})
	b.attach("application/vnd.cncf.notary.signature", b.push(jwsType, s.jws(t, b.image.Descriptor)))
	for scope, want := range map[string]error{"*": nil, "ghcr.io/some/gadget": trust.ErrRefused} {
		policy := trust.Policy{Notation: s.notation(t, policyDocument("strict", scope, "*"))}
		if _, err := trust.Verify(t.Context(), b.store, b.image, policy); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", scope, err, want)
		}
	}
}

// Policies that cannot be applied, and those by which everybody's signatures count, are refused when they are read.
func TestParseNotation(t *testing.T) {
	t.Parallel()
	root := newSigner(t, signerOptions{}).root()
	strict := policyDocument("strict", "*", "*")
	for want, c := range map[string][2]string{
		"":                           {strict, root},
		"unexpected end":             {"", root},
		"no certificates":            {strict, ""},
		"PEM block":                  {strict, "hello"},
		"is damaged":                 {strict, strings.Replace(root, "MII", "!!!", 1)},
		`"PUBLIC KEY" among`:         {strict, trust.StandardKey},
		"the level \"audit\"":        {policyDocument("audit", "*", "*"), root},
		"the level \"custom\"":       {strings.Replace(strict, `"level":"strict"`, `"level":"strict","override":{"authenticity":"log"}`, 1), root},
		"skip signature":             {policyDocument("skip", "*", "*"), root},
		"invalid signature verifica": {policyDocument("penguin", "*", "*"), root},
		"unsupported version":        {strings.Replace(strict, "1.0", "2.0", 1), root},
		"at most 1048576":            {strict + strings.Repeat(" ", 1<<20), root},
		"the certificates have":      {strict, root + strings.Repeat(" ", 1<<20)},
	} {
		_, err := trust.ParseNotation(c[0], c[1], "")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := trust.ParseNotation(strings.Replace(policyDocument("skip", "*", "*"), `"trustStores":["ca:penguins","signingAuthority:penguins"],"trustedIdentities":["*"]`, `"trustStores":[]`, 1), root, ""); err == nil || !strings.Contains(err.Error(), "everybody") {
		t.Errorf("skip: got %v", err)
	}
}

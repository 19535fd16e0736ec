// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// StandardKey is the public key that verifies the images of ghcr.io/inspektor-gadget.
const StandardKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoDOC0gYSxZTopenGmX3ZFvQ1DSfh
Ir4EKRt5jC+mXaJ7c7J+oREskYMn/SfZdRHNSOjLTZUMDm60zpXGhkFecg==
-----END PUBLIC KEY-----
`

// StandardKeys returns the keys that count unless the user says otherwise.
func StandardKeys() ([]Key, error) { return ParseKeys(StandardKey) }

// maxKeys is how large a text with keys may be, in bytes; there are some 180 in that of a key.
const maxKeys = 1 << 20

// minRSA and maxRSA are how many bits an RSA key may have.
const (
	minRSA = 2048
	maxRSA = 8192
)

// Key is a public key.
type Key struct {
	public crypto.PublicKey // *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey
	der    []byte           // its PKIX form
}

// NewKey returns a key for one of the standard library.
func NewKey(public crypto.PublicKey) (Key, error) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return Key{}, fmt.Errorf("the key is on the curve %s; P-256, P-384 and P-521 are supported", k.Curve.Params().Name)
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return Key{}, fmt.Errorf("the RSA key has %d bits; %d to %d are supported", n, minRSA, maxRSA)
		}
	case ed25519.PublicKey:
	default:
		return Key{}, errors.New("the key is not one of ECDSA, RSA or Ed25519")
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	return Key{public, der}, err
}

// String returns the kind of the key and the SHA-256 sum of its PKIX form.
func (k Key) String() string {
	return fmt.Sprintf("the %s key sha256:%s", k.kind(), k.Sum())
}

// Sum is the SHA-256 sum of the key's PKIX form, as in "openssl pkey -pubin -outform der | sha256sum".
func (k Key) Sum() string {
	sum := sha256.Sum256(k.der)
	return hex.EncodeToString(sum[:])
}

// PEM returns the key as text.
func (k Key) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der})
}

func (k Key) kind() string {
	switch p := k.public.(type) {
	case *ecdsa.PublicKey:
		return p.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", p.N.BitLen())
	default:
		return "Ed25519"
	}
}

// ParseKeys reads public keys in PEM. Each text may have several, with anything between them.
func ParseKeys(texts ...string) ([]Key, error) {
	var all []Key
	for _, text := range texts {
		if len(text) > maxKeys {
			return nil, fmt.Errorf("read the public keys: they have %d bytes, and gizmo reads at most %d", len(text), maxKeys)
		}
		keys, err := parseKeys([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("read the public keys: %w", err)
		}
		all = append(all, keys...)
	}
	return all, nil
}

func parseKeys(text []byte) (all []Key, err error) {
	err = eachBlock(text, func(b *pem.Block) error {
		var public crypto.PublicKey
		var err error
		switch {
		case b.Type == "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(b.Bytes)
		case b.Type == "RSA PUBLIC KEY":
			public, err = x509.ParsePKCS1PublicKey(b.Bytes)
		case strings.HasSuffix(b.Type, "PRIVATE KEY"):
			return errors.New("there is a private key among them; keep that secret, and give gizmo its public key")
		default:
			return fmt.Errorf("there is a %q among them", b.Type)
		}
		if err != nil {
			return err
		}
		key, err := NewKey(public)
		all = append(all, key)
		return err
	})
	return all, err
}

// begin is how each PEM block begins.
const begin = "-----BEGIN "

// eachBlock passes the PEM blocks of a text on, at least one. The standard library skips blocks that it cannot read; here that is an error.
func eachBlock(text []byte, do func(*pem.Block) error) error {
	for rest := text; ; {
		b, next := pem.Decode(rest)
		if b == nil {
			break
		}
		if bytes.Count(rest[:len(rest)-len(next)], []byte(begin)) != 1 {
			return errors.New("a PEM block among them is damaged")
		}
		if err := do(b); err != nil {
			return err
		}
		rest, text = next, nil
		if !bytes.Contains(rest, []byte(begin)) {
			return nil
		}
	}
	if text != nil && !bytes.Contains(text, []byte(begin)) {
		return errors.New("there is no PEM block")
	}
	return errors.New("a PEM block among them is damaged")
}

// verify reports whether a signature of a message is by this key. Formats do not say which hash they use: cosign uses SHA-256 for all keys, and since
// version 3 also the one that fits the curve, and Ed25519 with and without hashing before. All of these are safe, so each may be.
func (k Key) verify(message, signature []byte) bool {
	sum := sha256.Sum256(message)
	switch public := k.public.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(public, sum[:], signature) {
			return true
		}
		switch public.Curve {
		case elliptic.P384():
			sum := sha512.Sum384(message)
			return ecdsa.VerifyASN1(public, sum[:], signature)
		case elliptic.P521():
			sum := sha512.Sum512(message)
			return ecdsa.VerifyASN1(public, sum[:], signature)
		}
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature) == nil || rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, nil) == nil
	case ed25519.PublicKey:
		sum := sha512.Sum512(message)
		return ed25519.Verify(public, message, signature) ||
			ed25519.VerifyWithOptions(public, sum[:], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
	}
	return false
}

// signerOf returns the key that made a signature. Nil: none of the keys.
func signerOf(keys []Key, message, signature []byte) *Key {
	for i := range keys {
		if keys[i].verify(message, signature) {
			return &keys[i]
		}
	}
	return nil
}

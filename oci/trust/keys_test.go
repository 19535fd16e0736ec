// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
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
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/oci/trust"
)

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(key crypto.Signer) string {
	return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())))
}

// Keys are read one by one and together, in each form.
func TestParseKeys(t *testing.T) {
	t.Parallel()
	ec := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	oldCurve := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	pkcs1 := pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))
	for _, c := range []struct {
		name  string
		texts []string
		want  string // the kinds, or a part of the error
	}{
		{"none", nil, ""},
		{"standard", []string{trust.StandardKey}, "P-256"},
		{"together", []string{"my keys:\n" + publicPEM(ec) + ",\n" + publicPEM(rsaKey) + "the end"}, "P-384 RSA-2048"},
		{"apart", []string{publicPEM(ed), pkcs1}, "Ed25519 RSA-2048"},
		{"empty", []string{""}, "there is no PEM block"},
		{"no PEM", []string{"hello"}, "there is no PEM block"},
		{"private", []string{publicPEM(ec) + pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ec)))}, "keep that secret"},
		{"certificate", []string{pemOf("CERTIFICATE", []byte("x"))}, `"CERTIFICATE" among`},
		{"garbage", []string{pemOf("PUBLIC KEY", []byte("x"))}, "asn1"},
		{"short", []string{publicPEM(short)}, "has 1024 bits"},
		{"old curve", []string{publicPEM(oldCurve)}, "P-224"},
		{"damaged first", []string{strings.Replace(publicPEM(ec), "M", "!", 1) + publicPEM(ec)}, "is damaged"},
		{"damaged last", []string{publicPEM(ec) + strings.Replace(publicPEM(ec), "M", "!", 1)}, "is damaged"},
		{"truncated", []string{publicPEM(ec)[:100]}, "is damaged"},
		{"long", []string{publicPEM(ec) + strings.Repeat(" ", 1<<20)}, "at most 1048576"},
	} {
		keys, err := trust.ParseKeys(c.texts...)
		var kinds []string
		for _, k := range keys {
			kinds = append(kinds, strings.Fields(k.String())[1])
		}
		if err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) || err == nil && strings.Join(kinds, " ") != c.want {
			t.Errorf("%s: got %v, %v, want %q", c.name, kinds, err, c.want)
		}
	}
}

// The sum is that of other programs, and the text can be read again.
func TestStandardKey(t *testing.T) {
	t.Parallel()
	keys := must(trust.StandardKeys())
	if len(keys) != 1 {
		t.Fatal(keys)
	}
	// openssl pkey -pubin -outform der | sha256sum
	const want = "20fe3de3a3b62df47cfee4db548392300db21c7871a50478f5e027c1901d49db"
	if keys[0].Sum() != want || string(keys[0].PEM()) != trust.StandardKey {
		t.Errorf("got %s\n%s", keys[0].Sum(), keys[0].PEM())
	}
}

func password(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

// Private keys are read in each form, and wrong ones are explained.
func TestParsePrivateKey(t *testing.T) {
	t.Parallel()
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	made, _, err := trust.GenerateKey([]byte("penguin"))
	must(0, err)
	cosigns := must(os.ReadFile("testdata/cosign.key"))
	pkcs8 := func(key any) string { return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }
	sec1 := pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)))
	changed := func(old, new string) string {
		b, _ := pem.Decode(made)
		return pemOf(b.Type, []byte(strings.Replace(string(b.Bytes), old, new, 1)))
	}
	for _, c := range []struct {
		name, text string
		password   func() ([]byte, error)
		want       string // the kind, or a part of the error
	}{
		{"PKCS #8", pkcs8(ec), nil, "P-256"},
		{"PKCS #8 RSA", pkcs8(rsaKey), nil, "RSA-2048"},
		{"PKCS #8 Ed25519", pkcs8(ed), nil, "Ed25519"},
		{"SEC 1", sec1, nil, "P-256"},
		{"SEC 1 of OpenSSL", pemOf("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}) + sec1, nil, "P-256"},
		{"PKCS #1", pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), nil, "RSA-2048"},
		{"made", string(made), password("penguin"), "P-256"},
		{"cosign's", string(cosigns), password("penguin"), "P-256"},
		{"old cosign's", strings.ReplaceAll(string(cosigns), "SIGSTORE", "COSIGN"), password("penguin"), "P-256"},
		{"wrong password", string(made), password("seal"), "the password is wrong"},
		{"no password", string(made), nil, "needs a password"},
		{"failing password", string(made), func() ([]byte, error) { return nil, errors.New("no terminal") }, "no terminal"},
		{"costs", changed("65536", "1073741824"), password("penguin"), "the costs of scrypt are {1073741824 8 1}"},
		{"cipher", changed("nacl/secretbox", "rot13"), password("penguin"), `and "rot13"`},
		{"kdf", changed(`"scrypt"`, `"md5"`), password("penguin"), `by "md5"`},
		{"nonce", changed(`"nonce":"`, `"nonce":"AAAA`), password("penguin"), "nonce has 27 bytes"},
		{"JSON", changed("{", "["), password("penguin"), "broken"},
		{"encrypted by OpenSSL", pemOf("ENCRYPTED PRIVATE KEY", []byte("x")), nil, "cosign import-key-pair"},
		{"encrypted by old OpenSSL", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"DEK-Info": "x"}, Bytes: []byte("x")})), nil, "cosign import-key-pair"},
		{"public", trust.StandardKey, nil, "it is a public key"},
		{"certificate", pemOf("CERTIFICATE", []byte("x")), nil, `it is a "CERTIFICATE"`},
		{"two", sec1 + sec1, nil, "several"},
		{"only parameters", pemOf("EC PARAMETERS", []byte("x")), nil, "there is no key"},
		{"nothing", "", nil, "no PEM block"},
		{"long", sec1 + strings.Repeat(" ", 1<<20), nil, "at most 1048576"},
		{"garbage", pemOf("PRIVATE KEY", []byte("x")), nil, "asn1"},
		{"for agreements", pkcs8(must(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).ECDH())), nil, "P-256"},
	} {
		k, err := trust.ParsePrivateKey([]byte(c.text), c.password)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Fields(k.Public().String())[1]
		}
		if err != nil && !strings.HasPrefix(got, "read the private key: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// The password of the environment comes first, even if it is empty.
func TestPassword(t *testing.T) {
	ask := password("asked")
	for _, c := range []struct {
		set  bool
		text string
		ask  func() ([]byte, error)
		want string
	}{{true, "penguin", ask, "penguin"}, {true, "", ask, ""}, {false, "", ask, "asked"}} {
		t.Setenv(trust.PasswordVariable, c.text)
		if !c.set {
			os.Unsetenv(trust.PasswordVariable)
		}
		if got, err := trust.Password(c.ask); string(got) != c.want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	os.Unsetenv(trust.PasswordVariable)
	if _, err := trust.Password(nil); err == nil || !strings.Contains(err.Error(), trust.PasswordVariable) {
		t.Errorf("got %v", err)
	}
}

// A key can be without a password, as in CI. Each has another salt and nonce.
func TestGenerateKey(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 2 {
		text, public, err := trust.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		k, err := trust.ParsePrivateKey(text, password(""))
		if err != nil || k.Public().Sum() != public.Sum() {
			t.Errorf("got %v, want %v: %v", k, public, err)
		}
		b, _ := pem.Decode(text)
		var l struct {
			KDF    struct{ Salt string }
			Cipher struct{ Nonce string }
		}
		must(0, json.Unmarshal(b.Bytes, &l))
		for _, s := range []string{l.KDF.Salt, l.Cipher.Nonce} {
			if s == "" || seen[s] {
				t.Errorf("%q is there again", s)
			}
			seen[s] = true
		}
	}
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add(must(os.ReadFile("testdata/cosign.key")))
	f.Add([]byte(trust.StandardKey))
	f.Add([]byte(pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))))))
	f.Fuzz(func(t *testing.T, text []byte) {
		stop := errors.New("stop") // scrypt takes long
		k, err := trust.ParsePrivateKey(text, func() ([]byte, error) { return nil, stop })
		if (k == nil) == (err == nil) {
			t.Fatal(k, err)
		}
		if k != nil {
			if _, err := trust.ParseKeys(string(k.Public().PEM())); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(trust.StandardKey)
	f.Add(trust.StandardKey + "," + trust.StandardKey)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := trust.ParseKeys(text)
		if err == nil && len(keys) == 0 {
			t.Fatal("no key and no error")
		}
		for _, k := range keys {
			if again, err := trust.ParseKeys(string(k.PEM())); err != nil || again[0].Sum() != k.Sum() {
				t.Fatal(again, err)
			}
		}
	})
}

func FuzzParseNotation(f *testing.F) {
	root := newSigner(f, signerOptions{}).root()
	f.Add(policyDocument("strict", "*", "*"), root)
	f.Add(policyDocument("audit", "ghcr.io/x/y", "x509.subject: C=AQ, ST=Ross, O=penguins"), root)
	f.Fuzz(func(t *testing.T, document, certificates string) {
		n, err := trust.ParseNotation(document, certificates, "")
		if (n == nil) == (err == nil) {
			t.Fatal(n, err)
		}
	})
}

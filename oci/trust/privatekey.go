// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"
)

// The types of PEM blocks with keys that a password protects, as cosign makes them.
const (
	sigstoreKeyType = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignKeyType   = "ENCRYPTED COSIGN PRIVATE KEY" // before version 2
)

// PasswordVariable is the environment variable that cosign takes passwords from, too.
const PasswordVariable = "COSIGN_PASSWORD"

// Password returns the password in the environment, which may be empty, or else asks for it. No ask: that is an error.
func Password(ask func() ([]byte, error)) ([]byte, error) {
	if password, ok := os.LookupEnv(PasswordVariable); ok {
		return []byte(password), nil
	}
	if ask == nil {
		return nil, fmt.Errorf("the key needs a password, and %s is not set", PasswordVariable)
	}
	return ask()
}

// PrivateKey is a key that makes signatures.
type PrivateKey struct {
	signer crypto.Signer
	public Key
}

// Public returns the public key, which verifies these signatures.
func (k *PrivateKey) Public() Key { return k.public }

// NewPrivateKey returns a key for one of the standard library, or in hardware.
func NewPrivateKey(signer crypto.Signer) (*PrivateKey, error) {
	public, err := NewKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{signer, public}, nil
}

// ParsePrivateKey reads a private key in PEM: as OpenSSL makes it (PKCS #8, SEC 1, PKCS #1), or as cosign does. It calls password only for the latter.
func ParsePrivateKey(text []byte, password func() ([]byte, error)) (*PrivateKey, error) {
	k, err := parsePrivateKey(text, password)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	return k, nil
}

func parsePrivateKey(text []byte, password func() ([]byte, error)) (k *PrivateKey, err error) {
	if len(text) > maxKeys {
		return nil, fmt.Errorf("it has %d bytes, and gizmo reads at most %d", len(text), maxKeys)
	}
	err = eachBlock(text, func(b *pem.Block) error {
		if b.Type == "EC PARAMETERS" { // OpenSSL writes the curve before the key, which has it, too
			return nil
		}
		if k != nil {
			return errors.New("there are several PEM blocks")
		}
		var err error
		k, err = parsePrivateBlock(b, password)
		return err
	})
	if err == nil && k == nil {
		err = errors.New("there is no key")
	}
	return k, err
}

func parsePrivateBlock(b *pem.Block, password func() ([]byte, error)) (*PrivateKey, error) {
	der := b.Bytes
	var key any
	var err error
	switch b.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	case "RSA PRIVATE KEY":
		if b.Headers["DEK-Info"] != "" {
			return nil, otherPassword()
		}
		key, err = x509.ParsePKCS1PrivateKey(der)
	case "ENCRYPTED PRIVATE KEY":
		return nil, otherPassword()
	case sigstoreKeyType, cosignKeyType:
		if der, err = unlock(der, password); err != nil {
			return nil, err
		}
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "PUBLIC KEY":
		return nil, errors.New("it is a public key, which verifies; to sign, the private one is needed")
	default:
		return nil, fmt.Errorf("it is a %s", quote(b.Type))
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return NewPrivateKey(signer)
}

// otherPassword is the error about keys that OpenSSL protects by a password, whose old methods the standard library does not have for good reasons.
func otherPassword() error {
	return errors.New("it is protected by a password in the way of OpenSSL; gizmo reads keys that gizmo or cosign protects (cosign import-key-pair), " +
		"and those without a password (openssl pkey)")
}

// lockedKey is a private key that a password protects, in JSON. scrypt makes a key of the password, and NaCl's secret box encrypts.
type lockedKey struct {
	KDF struct {
		Name   string      `json:"name"`
		Params scryptCosts `json:"params"`
		Salt   []byte      `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

type scryptCosts struct {
	N int `json:"N"`
	R int `json:"r"`
	P int `json:"p"`
}

const (
	scryptName    = "scrypt"
	secretBoxName = "nacl/secretbox"
)

// allowedCosts are those of keys that cosign has made, and of all that its library can make. The last takes 128 MiB. Others could take all memory.
func allowedCosts() []scryptCosts {
	return []scryptCosts{{1 << 15, 8, 1}, {1 << 16, 8, 1}, {1 << 17, 8, 1}}
}

// unlock decrypts a private key.
func unlock(data []byte, password func() ([]byte, error)) ([]byte, error) {
	var l lockedKey
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, broken(err)
	}
	var nonce [24]byte
	switch {
	case l.KDF.Name != scryptName || l.Cipher.Name != secretBoxName:
		return nil, fmt.Errorf("it is protected by %s and %s", quote(l.KDF.Name), quote(l.Cipher.Name))
	case !slices.Contains(allowedCosts(), l.KDF.Params):
		return nil, fmt.Errorf("the costs of scrypt are %v; allowed are %v (N, r, p)", l.KDF.Params, allowedCosts())
	case len(l.Cipher.Nonce) != len(nonce):
		return nil, fmt.Errorf("%w: the nonce has %d bytes", ErrBroken, len(l.Cipher.Nonce))
	}
	copy(nonce[:], l.Cipher.Nonce)
	if password == nil {
		return nil, errors.New("it needs a password")
	}
	word, err := password()
	if err != nil {
		return nil, err
	}
	key, err := l.key(word)
	if err != nil {
		return nil, err
	}
	plaintext, ok := secretbox.Open(nil, l.Ciphertext, &nonce, key)
	if !ok {
		return nil, errors.New("the password is wrong")
	}
	return plaintext, nil
}

func (l *lockedKey) key(password []byte) (*[32]byte, error) {
	b, err := scrypt.Key(password, l.KDF.Salt, l.KDF.Params.N, l.KDF.Params.R, l.KDF.Params.P, 32)
	if err != nil {
		return nil, err
	}
	return (*[32]byte)(b), nil
}

// GenerateKey makes an ECDSA key on the curve P-256, and returns it in PEM, protected by a password, which may be empty. cosign can read it.
func GenerateKey(password []byte) (private []byte, public Key, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Key{}, fmt.Errorf("make a key: %w", err)
	}
	if private, err = lock(key, password); err != nil {
		return nil, Key{}, fmt.Errorf("make a key: %w", err)
	}
	public, err = NewKey(key.Public())
	return private, public, err
}

// lock encrypts a private key.
func lock(key crypto.Signer, password []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var l lockedKey
	var nonce [24]byte
	l.KDF.Name, l.KDF.Params, l.KDF.Salt = scryptName, allowedCosts()[1], make([]byte, 32)
	rand.Read(l.KDF.Salt) // it never fails
	rand.Read(nonce[:])
	l.Cipher.Name, l.Cipher.Nonce = secretBoxName, nonce[:]
	k, err := l.key(password)
	if err != nil {
		return nil, err
	}
	l.Ciphertext = secretbox.Seal(nil, der, &nonce, k)
	data, err := json.Marshal(&l)
	return pem.EncodeToMemory(&pem.Block{Type: sigstoreKeyType, Bytes: data}), err
}

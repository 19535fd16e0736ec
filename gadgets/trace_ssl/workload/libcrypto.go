// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

// Numbers of OpenSSL.
const (
	sha256   = 672
	p256     = 415
	pkcs1    = 1
	rsaBits  = 2048
	rsaSize  = rsaBits / 8
	hashSize = 32
	infoSize = 19 + hashSize // what a signature of RSA holds: the hash and its name
	ecdhSize = 32
	exponent = 65537
)

// crypto calls the functions of libcrypto.
func crypto() *script {
	s := newScript("libcrypto.so.3")
	hash, other := s.Bytes("a hash", hashSize), s.Bytes("another", hashSize)
	s.rsa(hash, other)
	s.ec(hash, other)
	s.End()
	return s
}

func (s *script) rsa(hash, other word) {
	e, key := s.Call("BN_new"), s.Call("RSA_new")
	s.Call("BN_set_word", e, s.number(exponent))
	s.Call("RSA_generate_key_ex", key, s.number(rsaBits), e, s.Constant(0))

	kind, size := s.number(sha256), s.number(hashSize)
	sig, sigSize := s.Bytes("", rsaSize), s.number(rsaSize)
	_, length := s.Place()
	// Signing encrypts, and verifying decrypts.
	signed := s.Call("RSA_sign", kind, hash, size, sig, length, key)
	s.inner("libcrypto_RSA_private_encrypt", rsaSize)
	s.expect("libcrypto_RSA_sign", signed, 1, "")
	for ret, hash := range []word{other, hash} { // a bad signature, a good one
		verified := s.Call("RSA_verify", kind, hash, size, sig, sigSize, key)
		s.inner("libcrypto_RSA_public_decrypt", infoSize)
		s.expect("libcrypto_RSA_verify", verified, ret, "")
	}

	padding, secret, text := s.number(pkcs1), s.Bytes("", rsaSize), s.Bytes("", rsaSize)
	s.expect("libcrypto_RSA_public_encrypt", s.Call("RSA_public_encrypt", size, hash, secret, key, padding), rsaSize, "")
	s.expect("libcrypto_RSA_private_decrypt", s.Call("RSA_private_decrypt", sigSize, secret, text, key, padding), hashSize, "")
	s.expect("libcrypto_RSA_public_decrypt", s.Call("RSA_public_decrypt", size, hash, text, key, padding), -1, "")
}

func (s *script) ec(hash, other word) {
	null, size := s.Constant(0), s.number(hashSize)
	key := s.Call("EC_KEY_new_by_curve_name", s.number(p256))
	s.Call("EC_KEY_generate_key", key)
	sig := s.Bytes("", 128)
	sigSize, place := s.Place()
	s.expect("libcrypto_ECDSA_sign", s.Call("ECDSA_sign", null, hash, size, sig, place, key), 1, "")
	for ret, hash := range []word{other, hash} {
		s.expect("libcrypto_ECDSA_verify", s.Call("ECDSA_verify", null, hash, size, sig, sigSize, key), ret, "")
	}
	public := s.Call("EC_KEY_get0_public_key", key)
	shared := s.Call("ECDH_compute_key", s.Bytes("", ecdhSize), s.number(ecdhSize), public, key, null)
	s.expect("libcrypto_ECDH_compute_key", shared, ecdhSize, "")
}

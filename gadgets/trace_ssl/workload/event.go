// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"

// Event is an event of trace_ssl, with the fields that are known in advance.
type Event struct {
	Proc         workload.Proc `json:"proc"`
	Operation    string        `json:"operation"`
	OperationRaw uint32        `json:"operation_raw"`
	Ret          int32         `json:"ret"`
	Len          uint32        `json:"len"`
	BufLen       uint32        `json:"buf_len"`
	Buf          string        `json:"buf"`
	*workload.Outcome
}

// The operations, each at the place of its number.
var operations = []string{
	"libssl_SSL_read", "libssl_SSL_write", "libssl_SSL_do_handshake",
	"libgnutls_gnutls_record_send", "libgnutls_gnutls_record_recv",
	"libnss_PR_Write", "libnss_PR_Send", "libnss_PR_Read", "libnss_PR_Recv",
	"libssl_SSL_read_ex", "libssl_SSL_write_ex",
	"libcrypto_RSA_sign", "libcrypto_RSA_verify", "libcrypto_RSA_public_encrypt", "libcrypto_RSA_public_decrypt",
	"libcrypto_RSA_private_encrypt", "libcrypto_RSA_private_decrypt",
	"libcrypto_ECDSA_sign", "libcrypto_ECDSA_verify", "libcrypto_ECDH_compute_key",
}

// maxBuf is how many bytes of its data an event has at most.
const maxBuf = 8192

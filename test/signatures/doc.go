// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package signatures compares package oci/trust with cosign and with the library of notation: each verifies what the other has signed.
//
// It is a module of its own, because cosign has 250 dependencies, and building it takes minutes. "make test-signatures" runs the tests.
package signatures

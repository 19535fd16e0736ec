// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance holds the tests of one gadget that has a field of every kind and of every
// enriched type. User space makes up its records, so the tests know each byte that they read. The
// package has no code except tests.
//
// The tests compute the expected json from the records with Go's standard library, and
// compare the other formats with json. The golden files hold the rest: columns,
// and that nothing changes unnoticed.
//
//	go test ./test/conformance            all; those of the kernel need root
//	go test ./test/conformance -update    rewrite the golden files
//	go test ./test/conformance -record    remake the recording and the golden files; needs root
//
// A new kind of field, or a new enriched type, gets a member at the end of struct event in
// gadget/program.bpf.c, the same one in record, and a line in the function wanted.
package conformance

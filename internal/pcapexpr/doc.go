// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pcapexpr compiles filter expressions of pcap ("tcp port 80 and host 10.0.0.1") to classic BPF. It knows
// the language of pcap-filter(7) for packets that begin with an Ethernet header, and decides as tcpdump does. It looks up no
// names of hosts and reads no files.
package pcapexpr

import (
	"fmt"
	"unicode/utf8"

	"golang.org/x/net/bpf"
)

const (
	// MaxLength limits an expression, in bytes.
	MaxLength = 64 << 10
	// MaxInstructions limits the compiled program. It is the kernel's own limit for classic programs.
	MaxInstructions = 4096
	// maxTests limits the comparisons of an expression before they are simplified.
	maxTests = 16 << 10
	// maxDepth limits how deeply parentheses and brackets are nested.
	maxDepth = 100
)

// Error is a mistake in an expression.
type Error struct {
	// Column is where the mistake is, in characters from 1; 0 if it is not at one place.
	Column int
	// Text says what is wrong.
	Text string
}

// Error returns the column and the text.
func (e *Error) Error() string {
	if e.Column == 0 {
		return e.Text
	}
	return fmt.Sprintf("column %d: %s", e.Column, e.Text)
}

// Compile returns the program of an expression. The program returns 1 for packets that match, and 0 for all others. It rejects a packet
// that is too short for a field that it reads. If the expression asks for VLANs, the program uses
// the extensions bpf.ExtVLANTag and bpf.ExtVLANTagPresent, because the kernel takes the tag out of most packets. An empty
// expression matches all packets. All errors are of type *Error.
func Compile(expression string) ([]bpf.Instruction, error) {
	if len(expression) > MaxLength {
		return nil, &Error{Text: fmt.Sprintf("the expression has %d bytes; at most %d are allowed", len(expression), MaxLength)}
	}
	for i, r := range expression {
		if r == utf8.RuneError || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f {
			return nil, &Error{columnOf(expression, i), "the expression has a character that is no text"}
		}
	}
	bytes := newParser(expression, false)
	matches, err := bytes.parse()
	if err != nil {
		return nil, err
	}
	b := newBuilder()
	start := b.lower(matches, accept, reject)
	if bytes.gen.usesVLAN {
		// The tag may be beside the packet, where the kernel puts it, or in its bytes: these are two programs.
		inTag, err := newParser(expression, true).parse()
		if err != nil {
			return nil, err
		}
		start = b.lower(leaf(tagPresent()), b.lower(inTag, accept, reject), start)
	}
	return b.program(start)
}

// columnOf returns the column of a byte.
func columnOf(text string, at int) int { return utf8.RuneCountInString(text[:at]) + 1 }

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"bytes"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of an encoded protocol buffer message.
type field struct {
	number protowire.Number
	bytes  []byte // of a string, bytes or a message
	value  uint64 // of a number
}

// text returns the string of a field, cut to maxText.
func (f field) text() string { return clip(string(f.bytes[:min(len(f.bytes), maxText+utf8.UTFMax)])) }

// id returns the string of a field that identifies something; empty if it is too long for that.
func (f field) id() string {
	if len(f.bytes) > maxText {
		return ""
	}
	return string(f.bytes)
}

// time returns the time of a field in nanoseconds since 1970; the zero time for 0.
func (f field) time() time.Time {
	if f.value == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(f.value))
}

// fields yields the fields of a message, and an error at the end if the rest is no message. It skips values that are neither
// numbers nor bytes: no message that gizmo reads has one.
func fields(message []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		for len(message) > 0 {
			number, kind, n := protowire.ConsumeTag(message)
			if n < 0 {
				yield(field{}, protowire.ParseError(n))
				return
			}
			message = message[n:]
			f := field{number: number}
			switch kind {
			case protowire.BytesType:
				f.bytes, n = protowire.ConsumeBytes(message)
			case protowire.VarintType:
				f.value, n = protowire.ConsumeVarint(message)
			default:
				n = protowire.ConsumeFieldValue(number, kind, message)
			}
			if n < 0 {
				yield(field{}, protowire.ParseError(n))
				return
			}
			message = message[n:]
			if (kind == protowire.BytesType || kind == protowire.VarintType) && !yield(f, nil) {
				return
			}
		}
	}
}

// eachMessage calls visit for each message in the fields of a number.
func eachMessage(message []byte, number protowire.Number, visit func([]byte) error) error {
	for f, err := range fields(message) {
		if err != nil {
			return err
		}
		if f.number != number {
			continue
		}
		if err := visit(f.bytes); err != nil {
			return err
		}
	}
	return nil
}

// messageIn returns the message in the last field of a number; nil if there is none.
func messageIn(message []byte, number protowire.Number) (found []byte, err error) {
	err = eachMessage(message, number, func(m []byte) error {
		found = m
		return nil
	})
	return found, err
}

// readTime reads a Timestamp.
func readTime(message []byte) (time.Time, error) {
	var seconds, nanoseconds int64
	for f, err := range fields(message) {
		if err != nil {
			return time.Time{}, err
		}
		switch f.number {
		case 1:
			seconds = int64(f.value)
		case 2:
			nanoseconds = int64(f.value)
		}
	}
	return time.Unix(seconds, nanoseconds), nil
}

// pairs are the entries of a map of strings in a message. Servers send them in any order.
type pairs []pair

type pair struct{ key, value field }

// maxPairs is how many labels of a container gizmo reads. It keeps far fewer.
const maxPairs = 1 << 16

// add reads an entry.
func (p *pairs) add(message []byte) error {
	key, value, err := entry(message)
	if err == nil && len(*p) < maxPairs {
		*p = append(*p, pair{key, value})
	}
	return err
}

// labels returns the labels up to the limits: the same ones each time.
func (p pairs) labels() map[string]string {
	slices.SortStableFunc(p, func(a, b pair) int { return bytes.Compare(a.key.bytes, b.key.bytes) })
	var all labels
	for _, e := range p {
		if key := e.key.bytes; len(key) <= maxText {
			all.add(string(key), e.value.text())
		}
	}
	return all.known()
}

// entry reads an entry of a map of strings.
func entry(message []byte) (key, value field, err error) {
	for f, err := range fields(message) {
		if err != nil {
			return key, value, err
		}
		switch f.number {
		case 1:
			key = f
		case 2:
			value = f
		}
	}
	return key, value, nil
}

// appendText appends a field with a string, or nothing for the empty string.
func appendText(message []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return message
	}
	return protowire.AppendString(protowire.AppendTag(message, number, protowire.BytesType), s)
}

// appendMessage appends a field with a message.
func appendMessage(message []byte, number protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), m)
}

// appendNumber appends a field with a number.
func appendNumber(message []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(message, number, protowire.VarintType), n)
}

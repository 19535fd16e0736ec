// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// label is a part of packets' comments.
type label struct {
	name   string
	reader event.Reader
}

// knownLabel is the short name of a field in comments.
type knownLabel struct{ name, field string }

// knownLabels lists the fields of comments in their order. If an event has several fields for one name, the first that has a value
// is written.
func knownLabels() []knownLabel {
	return []knownLabel{
		{"comm", "proc.comm"}, {"comm", "comm"},
		{"pid", "proc.pid"}, {"pid", "pid"},
		{"container", "k8s.containerName"}, {"container", "runtime.containerName"},
		{"namespace", "k8s.namespace"},
		{"pod", "k8s.podName"},
	}
}

// DefaultFields returns the indices of the fields that are written as comments by default.
func DefaultFields(s *event.Schema) []int {
	fields := []int{}
	for _, known := range knownLabels() {
		if i, ok := s.Lookup(known.field); ok && s.Fields[i].HasValue() {
			fields = append(fields, i)
		}
	}
	return fields
}

// newLabels binds the fields of comments.
func newLabels(s *event.Schema, fields []int) ([]label, error) {
	var labels []label
	for _, i := range fields {
		r, err := s.Reader(i)
		if err != nil {
			return nil, err
		}
		labels = append(labels, label{labelOf(s.Fields[i].Name), r})
	}
	return labels, nil
}

// labelOf returns the short name of a field, or its own name.
func labelOf(field string) string {
	for _, known := range knownLabels() {
		if known.field == field {
			return known.name
		}
	}
	return field
}

// maxComment limits the bytes of a comment, which a recording can make long. An option has room for 65,535.
const maxComment = 4096

// appendComment appends "comm=curl pid=12". Fields without a value, and numbers that are 0, are left out.
func (e *Encoder) appendComment(dst []byte, b *event.Batch, row int) []byte {
	start, last := len(dst), ""
	for i := range e.labels {
		l := &e.labels[i]
		value := e.value(l, b, row)
		if len(value) == 0 || l.name == last {
			continue
		}
		before := len(dst)
		if before > start {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, l.name...), '=')
		if dst = appendValue(dst, value); len(dst)-start > maxComment {
			return append(dst[:before], " ..."...)
		}
		last = l.name
	}
	return dst
}

// value returns the text of a field; nothing for a number that is 0.
func (e *Encoder) value(l *label, b *event.Batch, row int) []byte {
	form := l.reader.Form()
	if form == event.FormText {
		return l.reader.Bytes(b, row)
	}
	if form == event.FormUint || form == event.FormInt {
		if v, ok := l.reader.Uint(b, row); !ok || v == 0 {
			return nil
		}
	}
	e.scratch = l.reader.Append(e.scratch[:0], b, row)
	return e.scratch
}

// appendValue appends a value: as it is if that is plain, else in double quotes, with escapes for characters that cannot be seen and
// for bytes that are not UTF-8. Names of processes hold any bytes.
func appendValue(dst, value []byte) []byte {
	if isPlain(value) {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for value = value[:min(len(value), maxComment)]; len(value) > 0; {
		r, size := utf8.DecodeRune(value)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, '\\', 'x', hexDigits[value[0]>>4], hexDigits[value[0]&15])
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case !unicode.IsPrint(r):
			dst = appendEscaped(dst, r)
		default:
			dst = append(dst, value[:size]...)
		}
		value = value[size:]
	}
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends a character as Go writes it: \x1b, \u202e, \U000e0041.
func appendEscaped(dst []byte, r rune) []byte {
	quoted := len(dst)
	dst = strconv.AppendQuoteRuneToASCII(dst, r) // 'x'
	dst = append(dst[:quoted], dst[quoted+1:]...)
	return dst[:len(dst)-1]
}

// isPlain reports whether a value can be written without quotes.
func isPlain(value []byte) bool {
	for _, c := range value {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=' {
			return false
		}
	}
	return true
}

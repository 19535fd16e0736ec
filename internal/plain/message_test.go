// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "one line": "one line", " two \n\n\tlines\r\n": "two lines", "a\x1bb\u202e\nc": `a\x1bb\u202e c`, "\n": "", "a\u00a0b": `a\u00a0b`,
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// opaque wraps an error whose text is not in its own.
type opaque struct{ cause error }

func (opaque) Error() string   { return "another\ntext" }
func (e opaque) Unwrap() error { return e.cause }

func TestMessage(t *testing.T) {
	t.Parallel()
	named := &fs.PathError{Op: "open", Path: "a\ngizmo: fine\x1b", Err: fs.ErrNotExist}
	const shown = `open a\ngizmo: fine\x1b: file does not exist`
	for _, c := range []struct {
		err  error
		want string
	}{
		{io.EOF, "EOF"},
		{errors.New(""), ""},
		{named, shown},
		{fmt.Errorf("load: %w, after all", named), "load: " + shown + ", after all"},
		{fmt.Errorf("%w: %w", io.EOF, named), "EOF: " + shown},
		{errors.Join(named, io.EOF), shown + "\nEOF"},
		{errors.Join(io.EOF, named, named), "EOF\n" + shown + "\n" + shown},
		{errors.Join(errors.Join(io.EOF, named), io.EOF), "EOF\n" + shown + "\nEOF"},
		{errors.Join(named), shown},
		{errors.Join(errors.New(""), io.EOF), "\nEOF"},
		{fmt.Errorf("two\nproblems: %w", errors.Join(named, io.EOF)), `two\nproblems: ` + shown + "\nEOF"},
		{fmt.Errorf("%w\n%w!", named, io.EOF), shown + `\nEOF!`},
		{opaque{named}, `another\ntext`},
	} {
		if got := Message(c.err); got != c.want {
			t.Errorf("%q: got %q, want %q", c.err, got, c.want)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	named := errors.New("a\nb")
	both := fmt.Errorf("%w: %w", io.EOF, named)
	for _, c := range []struct {
		err  error
		want []error
	}{
		{io.EOF, []error{io.EOF}},
		{both, []error{both}},
		{errors.Join(io.EOF, both, errors.Join(named, io.EOF)), []error{io.EOF, both, named, io.EOF}},
	} {
		if got := Parts(c.err); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.err, got, c.want)
		}
	}
}

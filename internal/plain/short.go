// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package plain

// maxError is how much of an error's text [Short] shows.
const maxError = 300

// Short wraps an error whose text a server may have chosen: the new error shows the first part of it.
func Short(err error) error { return &shortError{err} }

type shortError struct{ err error }

func (e *shortError) Unwrap() error { return e.err }

func (e *shortError) Error() string {
	text := e.err.Error()
	if len(text) > maxError {
		text = text[:maxError] + "…"
	}
	return Text(text)
}

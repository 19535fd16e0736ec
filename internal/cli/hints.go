// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// withFlags adds the flags that help to an error of loading or attaching a gadget: the packages below do
// not know the flags.
func withFlags(err error) error {
	var nothing *image.NothingToDoError
	var memory *gadget.MemoryError
	switch {
	case errors.As(err, &nothing):
		return &flagsError{needsOneOf(nothing.Params), err}
	case errors.Is(err, gadget.ErrNoInterface):
		return fmt.Errorf("%w (--iface NAME)", err)
	case errors.As(err, &memory):
		return fmt.Errorf("%w (--buffer-size sets the size of a buffer)", err)
	}
	return err
}

// flagsError says with the names of flags what its cause says with the names of params.
type flagsError struct {
	text  string
	cause error
}

func (e *flagsError) Error() string { return e.text }
func (e *flagsError) Unwrap() error { return e.cause }

// needsOneOf returns the error message of a gadget that does nothing without one of these flags.
func needsOneOf(params []string) string {
	const some = 3
	text := "nothing to do: the gadget needs one or more of its flags --" + strings.Join(params[:min(some, len(params))], ", --")
	if more := len(params) - some; more > 0 {
		text += fmt.Sprintf(" and %d more (see --help)", more)
	}
	return text
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// A machine without output has not started, and is ended; a machine with output may take its
// time.
func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		ends error
		want error
	}{
		"silent":         {"", errKilled, errNotStarted},
		"ends":           {"output", nil, nil},
		"ends in error":  {"output", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		"ends in silent": {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			if c.ends != errKilled {
				time.AfterFunc(3*tick, func() { ended <- c.ends })
			}
			var out strings.Builder
			err := follow(strings.NewReader(c.says), &out, ended, 10*tick, func() { ended <- errKilled })
			if !errors.Is(err, c.want) || out.String() != c.says {
				t.Errorf("%v, with %q", err, out.String())
			}
		})
	}
}

var errKilled = errors.New("killed")

func TestGuestEnv(t *testing.T) {
	got := guestEnv([]string{"PATH=/bin", "SECRET=x", "CI=true", "PATHS=no", "HOME=/root"})
	if want := []string{"TERM=dumb", "PATH=/bin", "CI=true", "HOME=/root"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package buildtest compiles the gadgets of tests.
package buildtest

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build"
)

// compiled holds a function for each folder that compiles it once.
var compiled sync.Map

// Compile returns the gadget in a folder. Where there is no clang the test ends: as failed where CI could run it.
func Compile(t testing.TB, dir string) *build.Result {
	t.Helper()
	once, _ := compiled.LoadOrStore(dir, sync.OnceValues(func() (*build.Result, error) {
		return build.Dir(context.Background(), dir, nil)
	}))
	result, err := once.(func() (*build.Result, error))()
	var rejected *build.CompileError
	switch {
	case errors.Is(err, build.ErrNoClang) && os.Getenv("CI") != "true":
		t.Skip(err)
	case errors.As(err, &rejected):
		t.Fatalf("%v\n%s", err, rejected.Output)
	case err != nil:
		t.Fatal(err)
	case result.Warnings != "":
		t.Fatalf("%s: %s", dir, result.Warnings)
	}
	return result
}

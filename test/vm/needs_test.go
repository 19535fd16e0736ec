// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"slices"
	"testing"
)

const someTests = `package p

func TestMain(m *testing.M) { os.Geteuid() }

func TestDirect(t *testing.T) { kerneltest.RequireRoot(t) }

func TestByHelper(t *testing.T) { t.Run("x", func(t *testing.T) { load(t) }) }

func TestByVariable(t *testing.T) { once() }

func TestPure(t *testing.T) { parse(t) }

func load(t *testing.T) { requireKernel(t); load(t) }

func parse(t *testing.T) { parse(t) }

var once = sync.OnceFunc(func() { kerneltest.RequireRoot(nil) })

func BenchmarkNo(b *testing.B) { load(nil) }
`

func TestTestsOfTheKernel(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a_test.go"), someTests)
	write(t, filepath.Join(dir, "b_test.go"), "package p\n\nfunc requireKernel(t *testing.T) { if os.Geteuid() != 0 { skip(t) } }\n")
	got, err := testsOfTheKernel(dir)
	if want := []string{"TestByHelper", "TestByVariable", "TestDirect"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

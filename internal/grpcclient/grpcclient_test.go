// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package grpcclient

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

func TestReadGrowing(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 100_000} {
		want := bytes.Repeat([]byte("x"), length)
		got, err := readGrowing(bytes.NewReader(append(want, "more"...)), length)
		if err != nil || !bytes.Equal(got, want) || cap(got) > max(2*length, 16<<10) {
			t.Errorf("%d bytes: got %d of %d, %v", length, len(got), cap(got), err)
		}
		if _, err := readGrowing(bytes.NewReader(want), length+1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes too few: %v", length, err)
		}
	}
}

// The client and the transport close a connection at the same time, and neither takes that for an error.
func TestClosedTwice(t *testing.T) {
	t.Parallel()
	for range 200 {
		c := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			near, _ := net.Pipe()
			return near, nil
		}})
		conn, err := c.conns.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		byTransport := make(chan error)
		go func() { byTransport <- conn.Close() }()
		if err := errors.Join(c.Close(), <-byTransport); err != nil {
			t.Fatal(err)
		}
	}
}

// A compressed answer is read up to the limit, however much it would become.
func TestExpand(t *testing.T) {
	t.Parallel()
	for size, isError := range map[int]bool{0: false, 1000: false, 1001: true, 10 << 20: true} {
		var message bytes.Buffer
		compressor := gzip.NewWriter(&message)
		_, err := compressor.Write(make([]byte, size))
		if err := errors.Join(err, compressor.Close()); err != nil {
			t.Fatal(err)
		}
		got, err := expand(message.Bytes(), 1000)
		if (err != nil) != isError || err == nil && len(got) != size || len(got) > 1001 {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if _, err := expand(nil, 1000); err == nil || err == io.EOF {
		t.Errorf("nothing is expanded: %v", err)
	}
}

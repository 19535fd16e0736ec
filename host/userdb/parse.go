// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package userdb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

// The limits keep a huge or hostile file from using up the memory. Ids beyond them have no name.
const (
	maxFile  = 16 << 20 // bytes read of a file
	maxNames = 1 << 18
	maxName  = 256  // bytes; longer names are ignored (Linux allows fewer)
	maxHead  = 4096 // bytes of a line in which name and id must be; groups' members may go on
)

// read returns the names in the file at path and the file's state when it was opened.
func read(path string) (map[uint32]string, os.FileInfo, error) {
	if err := checkRegular(os.Stat(path)); err != nil {
		return nil, nil, err // checked before opening, which would wait on a FIFO
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be another file by now
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err := checkRegular(info, err); err != nil {
		return nil, nil, err
	}
	names, err := parse(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return names, info, nil
}

func checkRegular(info os.FileInfo, err error) error {
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", info.Name())
	}
	return err
}

// parse reads lines of the form name:password:id:… . If an id has several names, the first counts,
// as for the C library. It skips lines of another form.
func parse(r io.Reader) (map[uint32]string, error) {
	names := make(map[uint32]string)
	br := bufio.NewReaderSize(io.LimitReader(r, maxFile), maxHead)
	for len(names) < maxNames {
		line, err := br.ReadSlice('\n')
		addLine(names, line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func addLine(names map[uint32]string, line []byte) {
	name, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{':'})
	_, rest, _ = bytes.Cut(rest, []byte{':'})
	// Without the colon after it, the number may have been cut off at one of the limits.
	number, _, whole := bytes.Cut(rest, []byte{':'})
	if !whole || len(name) == 0 || len(name) > maxName || name[0] == '#' {
		return
	}
	id, err := strconv.ParseUint(string(number), 10, 32)
	if err != nil {
		return
	}
	if _, taken := names[uint32(id)]; !taken {
		names[uint32(id)] = string(name)
	}
}

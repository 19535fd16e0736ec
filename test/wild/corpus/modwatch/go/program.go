// SPDX-License-Identifier: Apache-2.0
// The small user-space part of modwatch, without any dependency.
package main

import "unsafe"

//go:wasmimport ig getDataSource
func getDataSource(name uint64) uint32

//go:wasmimport ig dataSourceGetField
func dataSourceGetField(ds uint32, name uint64) uint32

//go:wasmimport ig dataSourceAddField
func dataSourceAddField(ds uint32, name uint64, kind uint32) uint32

//go:wasmimport ig dataSourceSubscribe
func dataSourceSubscribe(ds uint32, kind uint32, priority uint32, cb uint64) uint32

//go:wasmimport ig fieldGetScalar
func fieldGetScalar(field uint32, data uint32, kind uint32, errPtr uint32) uint64

//go:wasmimport ig fieldSet
func fieldSet(field uint32, data uint32, kind uint32, value uint64) uint32

const (
	kindUint32 = 8
	kindString = 12
)

var taints, verdict uint32

func str(s string) uint64 {
	return uint64(len(s))<<32 | uint64(uintptr(unsafe.Pointer(unsafe.StringData(s))))
}

//go:wasmexport gadgetAPIVersion
func gadgetAPIVersion() uint64 { return 1 }

//go:wasmexport gadgetInit
func gadgetInit() int32 {
	ds := getDataSource(str("modules"))
	if ds == 0 {
		return 1
	}
	taints = dataSourceGetField(ds, str("taints_raw"))
	verdict = dataSourceAddField(ds, str("verdict"), kindString)
	if taints == 0 || verdict == 0 {
		return 1
	}
	return int32(dataSourceSubscribe(ds, 1, 0, 1))
}

//go:wasmexport dataSourceCallback
func dataSourceCallback(cb uint64, ds uint32, data uint32) {
	s := "clean"
	if fieldGetScalar(taints, data, kindUint32, 0) != 0 {
		s = "tainted"
	}
	fieldSet(verdict, data, kindString, str(s))
}

func main() {}

/* An ARM program, 32-bit: write once, getpid twice, exit_group with 8. With THUMB in Thumb mode. Numbers from
   arch/arm/tools/syscall.tbl. */
    .syntax unified
#ifdef THUMB
    .thumb
    .thumb_func
#else
    .arm
#endif
    .globl _start
    .type _start, %function
_start:
    mov r0, #1
    adr r1, text
    mov r2, #4
    mov r7, #4
    svc #0
    mov r7, #20
    svc #0
    mov r7, #20
    svc #0
    mov r0, #8
    mov r7, #248
    svc #0
    .align 2
text:
    .ascii "arm\n"

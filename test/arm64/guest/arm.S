/* An ARM program, 32-bit: write once, getpid 20 times, exit_group with 8, or 9 if getpid was refused. With THUMB in Thumb mode. Numbers from
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
    mov r4, #20
again:
    mov r7, #20
    svc #0
    cmp r0, #0
    blt refused
    subs r4, r4, #1
    bne again
    mov r0, #8
    b end
refused:
    mov r0, #9
end:
    mov r7, #248
    svc #0
    udf #0
    .align 2
text:
    .ascii "arm\n"


probabilities2C"setosa"
versicolor"	virginica* JF¼;JîVo?JUs=2C"setosa"
versicolor"	virginica* JI÷t?JÁ,ö<JYÔU<2C"setosa"
versicolor"	virginica* Juñô;JÛÐ¹:J5¹}?2C"setosa"
versicolor"	virginica* JVw?J«/Ä<JN"<2C"setosa"
versicolor"	virginica* JRzZ<J<kÌ:Já/|?2C"setosa"
versicolor"	virginica* JS <Já8Ä=J•÷d?2C"setosa"
versicolor"	virginica* JÏ<J¢?J™“Ø>2C"setosa"
versicolor"	virginica* J­5Ù;J¶%|?J­÷	<2C"setosa"
versicolor"	virginica* JÐV<J’Ûu<J6ûy?2C"setosa"
versicolor"	virginica* JÒƒ<J«z?JnÑw<2C"setosa"
versicolor"	virginica* Jb?z?J×f<J²
<2C"setosa"
versicolor"	virginica* J÷x?J0›<Jb%<